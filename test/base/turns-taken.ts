/** How often does the event loop go round while something is done? */
export async function turnsTakenBy(work: Promise<unknown>): Promise<number> {
  let count = 0;
  let isDone = false;
  const goRound = (): void => {
    if (isDone) return;
    count += 1;
    setImmediate(goRound);
  };
  setImmediate(goRound);
  await work;
  isDone = true;
  return count;
}
