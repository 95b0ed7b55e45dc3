/** Is what was committed there again while the store folds all the time? What it does otherwise is in test/store. */
import { LmdbStore } from '../../src/store/lmdb-store.js';
import { describeDurableStore } from '../contract/store-contract.js';

describeDurableStore('on disk, folded all the time', (directory) =>
  LmdbStore.open({ directory, limits: { recentChangesMax: 64 } }),
);
