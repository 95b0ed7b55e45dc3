/** The nearest of a few names to one that was mistyped; undefined when none is near enough to be what was meant. */
export function didYouMean(typed: string, candidates: readonly string[]): string | undefined {
  const wanted = plain(typed);
  let best: string | undefined;
  let bestDistance = Math.max(2, Math.floor(wanted.length / 3)) + 1;
  for (const candidate of candidates) {
    const distance = editDistance(wanted, plain(candidate));
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** `pageSize`, `page-size` and `PAGE_SIZE` all mean `page_size`. */
function plain(name: string): string {
  return name.replace(/[-_ ]/g, '').toLowerCase();
}

/** Levenshtein's distance with one row: names are short, so nothing faster is called for. */
function editDistance(left: string, right: string): number {
  const row = Array.from({ length: right.length + 1 }, (_, column) => column);
  for (let line = 1; line <= left.length; line++) {
    let diagonal = row[0];
    row[0] = line;
    for (let column = 1; column <= right.length; column++) {
      const substituted = diagonal + (left[line - 1] === right[column - 1] ? 0 : 1);
      diagonal = row[column];
      row[column] = Math.min(substituted, diagonal + 1, row[column - 1] + 1);
    }
  }
  return row[right.length];
}
