/**
 * What Prometheus reads. The only import of prom-client. No label ever holds an ID, a token or a path that a client
 * chose: labels are endpoint names, statuses, shard numbers and parts.
 *
 * Cost: about a microsecond a request; children of labelled metrics are looked up once and kept.
 */
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';

/** What the gauges read when they are scraped. */
export interface Gauges {
  stats(): Promise<{
    readonly memberships: number;
    readonly usersKnown: number;
    readonly roomsKnown: number;
    readonly bytes: Readonly<Record<string, number>>;
  }>;
  readonly waiting: readonly number[];
  readonly failure: string | undefined;
}

/** The same of an HTTP server. */
export interface AdmissionGauges {
  readonly connections: number;
  readonly requestsInFlight: number;
  readonly requestsPipelined: number;
  readonly answerBytesWaiting: number;
}

/** The same of a source that feeds the index; counts are since the start of the process. */
export interface SourceGauges {
  readonly state: string;
  readonly ageSeconds: number;
  readonly position: number;
  readonly gapsOpen: number;
  readonly gapsRetired: number;
  readonly rowsRead: number;
  readonly changesMade: number;
  readonly copies: number;
  readonly failures: number;
  readonly redisUp: boolean | undefined;
  readonly reconciled: {
    readonly runs: number;
    readonly sweeps: number;
    readonly roomsCompared: number;
    readonly roomsSkipped: number;
    readonly roomsPurged: number;
    readonly roomsDrifted: number;
    readonly membershipsRepaired: number;
    readonly last: { readonly atMs: number } | undefined;
  };
}

type OfSource = readonly (readonly [name: string, help: string, (from: SourceGauges) => number])[];

const sourceGauges: OfSource = [
  [
    'mutual_rooms_source_up',
    '1 while changes are followed, caught up with, or copied; 0 while the database cannot be read, or what it says not kept.',
    ({ state }) => (state === 'disconnected' || state === 'connecting' ? 0 : 1),
  ],
  [
    'mutual_rooms_source_redis_up',
    '1 while Redis is listened to; 0 while it is not, or none is configured.',
    ({ redisUp }) => (redisUp === true ? 1 : 0),
  ],
  [
    'mutual_rooms_source_age_seconds',
    'Since the source was last read up to its end: what is newer may be missing. +Inf before the first time. How far a hot standby is behind its primary is not in it.',
    ({ ageSeconds }) => ageSeconds,
  ],
  ['mutual_rooms_source_position', 'The highest stream id that was read.', ({ position }) => position],
  [
    'mutual_rooms_source_gaps_open',
    'Stream ids below it that have not appeared yet. A few for a moment: normal. Many for long: a writer died, or hangs.',
    ({ gapsOpen }) => gapsOpen,
  ],
  [
    'mutual_rooms_source_reconciled_timestamp_seconds',
    'When the last reconciliation ended, in seconds since 1970; 0 before the first one.',
    ({ reconciled }) => (reconciled.last?.atMs ?? 0) / 1000,
  ],
];

const sourceCounters: OfSource = [
  [
    'mutual_rooms_source_gaps_retired_total',
    'Stream ids that never appeared, and are not looked for any more.',
    ({ gapsRetired }) => gapsRetired,
  ],
  ['mutual_rooms_source_rows_read_total', 'Rows that were read from the source.', ({ rowsRead }) => rowsRead],
  [
    'mutual_rooms_source_changes_total',
    'Memberships that changed by what the source told, copies left out.',
    ({ changesMade }) => changesMade,
  ],
  ['mutual_rooms_source_copies_total', 'How often all memberships were copied.', ({ copies }) => copies],
  [
    'mutual_rooms_source_failures_total',
    'How often the connection was lost, or something else went wrong: the log says what.',
    ({ failures }) => failures,
  ],
  [
    'mutual_rooms_source_reconciliations_total',
    'Comparisons of all rooms with the source.',
    ({ reconciled }) => reconciled.runs,
  ],
  ['mutual_rooms_source_sweeps_total', 'Searches for purged rooms.', ({ reconciled }) => reconciled.sweeps],
  [
    'mutual_rooms_source_rooms_compared_total',
    'Rooms that were compared with the source.',
    ({ reconciled }) => reconciled.roomsCompared,
  ],
  [
    'mutual_rooms_source_rooms_skipped_total',
    'Rooms that changed during a reconciliation, and so were not compared in it.',
    ({ reconciled }) => reconciled.roomsSkipped,
  ],
  [
    'mutual_rooms_source_rooms_purged_total',
    'Rooms that a sweep found purged.',
    ({ reconciled }) => reconciled.roomsPurged,
  ],
  [
    'mutual_rooms_source_rooms_drifted_total',
    'Rooms in which the index was not what the source has. Purges found by a reconciliation count; anything else should not be.',
    ({ reconciled }) => reconciled.roomsDrifted,
  ],
  [
    'mutual_rooms_source_memberships_repaired_total',
    'Memberships that were put right in those rooms.',
    ({ reconciled }) => reconciled.membershipsRepaired,
  ],
];

interface RequestChildren {
  readonly count: { inc(): void };
  readonly seconds: { observe(seconds: number): void };
}

const admissionGauges: readonly (readonly [name: string, help: string, (from: AdmissionGauges) => number])[] =
  [
    ['mutual_rooms_http_connections', 'Open connections.', ({ connections }) => connections],
    [
      'mutual_rooms_http_requests_in_flight',
      'Requests that are being answered, until the answer has left.',
      ({ requestsInFlight }) => requestsInFlight,
    ],
    [
      'mutual_rooms_http_requests_pipelined',
      'Requests that wait behind another one of their connection.',
      ({ requestsPipelined }) => requestsPipelined,
    ],
    [
      'mutual_rooms_http_answer_bytes_waiting',
      'Bytes of large answers that are on their way to their readers.',
      ({ answerBytesWaiting }) => answerBytesWaiting,
    ],
  ];

/** For a gauge that is read when it is scraped. */
function sumInto(sum: () => number): (this: Gauge) => void {
  return function () {
    this.set(sum());
  };
}

export class Metrics {
  readonly #registry = new Registry();
  readonly #requests: Counter<'endpoint' | 'status'>;
  readonly #seconds: Histogram<'endpoint'>;
  readonly #batch: Histogram<'shard'>;
  readonly #changes: Counter<'result'>;
  readonly #shardFailures: Counter;
  readonly #shardReloads: Counter;
  readonly #commitSeconds: Histogram;
  readonly #commitChanges: Histogram;
  readonly #commitFailures: Counter;
  readonly #faults: Counter;
  readonly #refused: Counter<'bound'>;
  readonly #cutOff: Counter<'reason'>;
  readonly #admissions: AdmissionGauges[] = [];
  readonly #children = new Map<string, RequestChildren>();
  readonly #batchChildren: { observe(questions: number): void }[] = [];
  /** Sets the gauges. */
  #look: (() => Promise<void>) | undefined;

  constructor() {
    const registers = [this.#registry];
    collectDefaultMetrics({ register: this.#registry });
    this.#requests = new Counter({
      name: 'mutual_rooms_http_requests_total',
      help: 'Answered requests by endpoint and status.',
      labelNames: ['endpoint', 'status'],
      registers,
    });
    this.#seconds = new Histogram({
      name: 'mutual_rooms_http_request_duration_seconds',
      help: 'From the request line read to the answer handed to the socket.',
      labelNames: ['endpoint'],
      buckets: [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5],
      registers,
    });
    this.#batch = new Histogram({
      name: 'mutual_rooms_fan_out_batch_questions',
      help: 'Questions that travelled to a shard in one task. Near 1: idle. Near 512: the shard is the bottleneck.',
      labelNames: ['shard'],
      buckets: [1, 2, 4, 8, 16, 32, 64, 128, 256, 512],
      registers,
    });
    this.#changes = new Counter({
      name: 'mutual_rooms_changes_total',
      help: 'Membership changes by result: applied, ignored (stated what already was), rejected (malformed).',
      labelNames: ['result'],
      registers,
    });
    this.#shardFailures = new Counter({
      name: 'mutual_rooms_shard_failures_total',
      help: 'Shards that lost their memberships. While more than were loaded again, every question is answered 503.',
      registers,
    });
    this.#shardReloads = new Counter({
      name: 'mutual_rooms_shard_reloads_total',
      help: 'Shards that lost their memberships and were loaded again from the store.',
      registers,
    });
    this.#commitSeconds = new Histogram({
      name: 'mutual_rooms_store_commit_duration_seconds',
      help: 'From a commit handed to the store until it was safe.',
      buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1],
      registers,
    });
    this.#commitChanges = new Histogram({
      name: 'mutual_rooms_store_commit_changes',
      help: 'Changes that were committed together.',
      buckets: [1, 4, 16, 64, 256, 1024, 4096],
      registers,
    });
    this.#commitFailures = new Counter({
      name: 'mutual_rooms_store_commit_failures_total',
      help: 'Commits that the store refused: the log says why. Questions are answered all the same.',
      registers,
    });
    this.#faults = new Counter({
      name: 'mutual_rooms_faults_total',
      help: 'Requests answered 500: a fault of this program; the log has the stack.',
      registers,
    });
    this.#refused = new Counter({
      name: 'mutual_rooms_http_refused_total',
      help: 'Requests answered 503 by the bound that was reached: requests in flight, answer_bytes on their way.',
      labelNames: ['bound'],
      registers,
    });
    this.#cutOff = new Counter({
      name: 'mutual_rooms_http_cut_off_total',
      help:
        'Connections closed by the server: stalled (took nothing of its answer), slowest (made room for others), ' +
        'pipelined (sent too many requests ahead), connections (too many are open).',
      labelNames: ['reason'],
      registers,
    });
    for (const [name, help, read] of admissionGauges) {
      new Gauge({
        name,
        help,
        registers,
        collect: sumInto(() => this.#admissions.reduce((sum, each) => sum + read(each), 0)),
      });
    }
  }

  /** Registers the gauges that ask the engine when they are scraped: all from one look, before any of them is written. */
  watch(gauges: Gauges, store: { readonly bytes: number }): void {
    const registers = [this.#registry];
    new Gauge({
      name: 'mutual_rooms_store_bytes',
      help: 'Size of the store on disk; 0 without one.',
      registers,
      collect: sumInto(() => store.bytes),
    });
    const waitingQuestions = new Gauge({
      name: 'mutual_rooms_fan_out_waiting_questions',
      help: 'Questions that wait to be sent to a shard.',
      labelNames: ['shard'],
      registers,
    });
    const memberships = new Gauge({
      name: 'mutual_rooms_memberships',
      help: 'Joined memberships in the index.',
      registers,
    });
    const users = new Gauge({
      name: 'mutual_rooms_users_known',
      help: 'User IDs that have a number: joined somewhere now, or once.',
      registers,
    });
    const rooms = new Gauge({
      name: 'mutual_rooms_rooms_known',
      help: 'Room IDs that have a number: joined by somebody now, or once.',
      registers,
    });
    const partBytes = new Gauge({
      name: 'mutual_rooms_bytes',
      help: 'Memory of the index by part.',
      labelNames: ['part'],
      registers,
    });
    this.#look = async () => {
      for (const [shard, waiting] of gauges.waiting.entries()) waitingQuestions.set({ shard }, waiting);
      // A failed engine has no figures; the scrape must still say that it failed.
      if (gauges.failure !== undefined) return;
      const stats = await gauges.stats().catch((error: unknown) => {
        // This look was what found it out.
        if (gauges.failure === undefined) throw error;
        return undefined;
      });
      if (stats === undefined) return;
      memberships.set(stats.memberships);
      users.set(stats.usersKnown);
      rooms.set(stats.roomsKnown);
      for (const [part, bytes] of Object.entries(stats.bytes)) partBytes.set({ part }, bytes);
    };
  }

  /** Registers the gauges of a source that feeds the index. */
  watchSource(source: { readonly status: SourceGauges }): void {
    const registers = [this.#registry];
    for (const [name, help, read] of sourceGauges)
      new Gauge({ name, help, registers, collect: sumInto(() => read(source.status)) });
    for (const [name, help, read] of sourceCounters) {
      new Counter({
        name,
        help,
        registers,
        collect(): void {
          this.reset();
          this.inc(read(source.status));
        },
      });
    }
  }

  /** Adds an HTTP server to those whose gauges are summed when they are scraped. */
  watchAdmission(admission: AdmissionGauges): void {
    this.#admissions.push(admission);
  }

  request(endpoint: string, status: number, seconds: number): void {
    const key = `${endpoint} ${status}`;
    let children = this.#children.get(key);
    if (children === undefined) {
      children = {
        count: this.#requests.labels({ endpoint, status }),
        seconds: this.#seconds.labels({ endpoint }),
      };
      this.#children.set(key, children);
    }
    children.count.inc();
    children.seconds.observe(seconds);
  }

  /** A task left for a shard. */
  sent(shard: number, questions: number): void {
    (this.#batchChildren[shard] ??= this.#batch.labels({ shard: String(shard) })).observe(questions);
  }

  changes(applied: number, ignored: number, rejected: number): void {
    this.#changes.inc({ result: 'applied' }, applied);
    this.#changes.inc({ result: 'ignored' }, ignored);
    this.#changes.inc({ result: 'rejected' }, rejected);
  }

  shardFailed(): void {
    this.#shardFailures.inc();
  }

  committed(changes: number, seconds: number): void {
    this.#commitSeconds.observe(seconds);
    this.#commitChanges.observe(changes);
  }

  commitFailed(): void {
    this.#commitFailures.inc();
  }

  shardReloaded(): void {
    this.#shardReloads.inc();
  }

  fault(): void {
    this.#faults.inc();
  }

  refused(bound: 'requests' | 'answer_bytes'): void {
    this.#refused.inc({ bound });
  }

  cutOff(reason: 'stalled' | 'slowest' | 'pipelined' | 'connections'): void {
    this.#cutOff.inc({ reason });
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  async text(): Promise<string> {
    await this.#look?.();
    return this.#registry.metrics();
  }
}
