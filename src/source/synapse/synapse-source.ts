/** Synapse as a kind of source: its memberships are copied from its PostgreSQL, and followed there. */
import type { SourceKind } from '../source-kind.js';
import { examineSynapse } from './doctor/examine.js';
import { feedLog } from './feed-log.js';
import { SynapseFeed } from './feed.js';
import { synapseOptions, synapseSecrets, synapseSection, type SynapseOptions } from './options.js';

export const synapseSource: SourceKind<typeof synapseSection, SynapseOptions> = {
  title: 'Synapse',
  section: synapseSection,
  secrets: synapseSecrets,
  optionsOf: synapseOptions,
  examine: examineSynapse,
  open: (options, { destination, log, clock, onProgress }) => {
    const observer = feedLog(log, (share, waitsFor) => {
      if (!feed.hasWhole) onProgress({ phase: 'copied', share, waitsFor });
    });
    const feed = new SynapseFeed(options, { destination, observer, clock });
    onProgress({ phase: feed.hasWhole ? 'updated' : 'copied', share: 0 });
    return feed;
  },
};
