/** A store that is filled from the export of another. */
import { join } from 'node:path';
import { readNdjson } from '../../src/source/formats/ndjson.js';
import { exportMemberships } from '../../src/store/export.js';
import { storeFileName } from '../../src/store/layout.js';
import { KeptStore, newFolder } from './kept-store.js';

/** Reads an export as import does, into a new store. @returns its folder */
export async function imported(directory: string): Promise<string> {
  const target = newFolder();
  const kept = await KeptStore.open(target);
  const lines = exportMemberships(join(directory, storeFileName), () => undefined);
  for await (const items of readNdjson(lines)) {
    const changes = items.map(({ line, change, fault }) => {
      if (change === undefined) throw new Error(`line ${line}: ${fault}`);
      return change;
    });
    await kept.commit(changes);
  }
  await kept.close();
  return target;
}
