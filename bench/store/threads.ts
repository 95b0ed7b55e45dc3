/** How much had each thread of this process to do? Linux only. */
import { readFileSync, readdirSync } from 'node:fs';

const ticksPerSecond = 100;

/** What is less than this is a thread that does nothing of interest: V8's helpers, the thread pool. */
const secondsMin = 0.05;

export interface ThreadTimes {
  readonly mainCpuSeconds: number;
  /** The busiest first. */
  readonly otherCpuSeconds: readonly number[];
  readonly byThread: ReadonlyMap<string, number>;
}

/** Processor seconds of each thread. @param since less what they had then */
export function cpuByThread(since?: ThreadTimes): ThreadTimes {
  const byThread = new Map<string, number>();
  for (const thread of readdirSync('/proc/self/task')) {
    const fields = readFileSync(`/proc/self/task/${thread}/stat`, 'utf8').split(') ')[1].split(' ');
    const seconds = (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
    byThread.set(thread, seconds - (since?.byThread.get(thread) ?? 0));
  }
  const main = `${process.pid}`;
  const others = [...byThread].filter(([thread, seconds]) => thread !== main && seconds >= secondsMin);
  return {
    mainCpuSeconds: byThread.get(main) ?? 0,
    otherCpuSeconds: others.map(([, seconds]) => seconds).sort((left, right) => right - left),
    byThread,
  };
}
