/** The bar that commands draw on stderr, where a person watches: how far it is, and how long it will take. */
import { Presets, SingleBar } from 'cli-progress';

export function progressBar(): SingleBar {
  return new SingleBar(
    { format: '{bar} {percentage} % | {eta_formatted} left', stream: process.stderr, hideCursor: true },
    Presets.shades_classic,
  );
}
