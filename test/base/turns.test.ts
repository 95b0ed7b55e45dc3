/** Does work that has had its time wait for the event loop to go round, one slice a turn? */
import { describe, expect, test } from 'vitest';
import type { Clock } from '../../src/base/clock.js';
import { Turns } from '../../src/base/turns.js';
import { turnsTakenBy } from './turns-taken.js';

class SetClock implements Clock {
  ms = 0;
  nowMs(): number {
    throw new Error('a slice is a duration');
  }
  monotonicMs(): number {
    return this.ms;
  }
}

describe('Turns', () => {
  test('a turn is over a millisecond after it began, and not before', async () => {
    const clock = new SetClock();
    const turns = new Turns(clock);
    await turns.next();
    clock.ms += 0.9;
    expect(turns.isOverAfter(10_000)).toBe(false);
    clock.ms += 0.1;
    expect(turns.isOverAfter(10_000)).toBe(true);
    await turns.next();
    expect(turns.isOverAfter(10_000)).toBe(false);
  });

  test('small items read the clock now and then, however many there are', async () => {
    const clock = new SetClock();
    const turns = new Turns(clock);
    await turns.next();
    clock.ms += 5;
    const told = Array.from({ length: 100 }, () => turns.isOverAfter(1));
    expect(told.indexOf(true)).toBe(31);
    expect(told.filter(Boolean)).toHaveLength(3);
  });

  test('who waits goes on in order, one in each turn of the event loop', async () => {
    const turns = new Turns();
    const order: number[] = [];
    const taken = await turnsTakenBy(
      Promise.all(Array.from({ length: 10 }, async (_, who) => turns.next().then(() => order.push(who)))),
    );
    expect(order).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(taken).toBeGreaterThanOrEqual(9);
  });
});
