/**
 * What Prometheus reads. The only import of prom-client. No label ever holds an ID, a token or a path that a client
 * chose: labels are endpoint names, statuses, shard numbers and parts.
 *
 * Cost: about a microsecond a request; children of labelled metrics are looked up once and kept.
 */
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';
import type { Metric } from '../base/metric.js';

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

/** The `collect` of a gauge that gets its value when it is scraped. */
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
  readonly #aborted: Counter;
  readonly #admissions: AdmissionGauges[] = [];
  readonly #children = new Map<string, RequestChildren>();
  readonly #batchChildren: { observe(questions: number): void }[] = [];
  /** Sets the gauges that ask the engine. */
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
    this.#aborted = new Counter({
      name: 'mutual_rooms_http_aborted_total',
      help: 'Requests whose client went away before they were whole, or answered.',
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
  watch(gauges: Gauges, store: { readonly bytes: number; readonly last: number }): void {
    const registers = [this.#registry];
    new Gauge({
      name: 'mutual_rooms_store_bytes',
      help: 'Size of the store on disk; 0 without one.',
      registers,
      collect: sumInto(() => store.bytes),
    });
    new Gauge({
      name: 'mutual_rooms_last_commit',
      help: 'Number of the last commit: it ascends by one with each, for ever.',
      registers,
      collect: sumInto(() => store.last),
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
      // A failed engine has no figures, but the scrape must still succeed and say that it failed.
      if (gauges.failure !== undefined) return;
      const stats = await gauges.stats().catch((error: unknown) => {
        // The engine failed during this call.
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

  /** Registers figures that are read when they are scraped. */
  watchMetrics(metrics: readonly Metric[]): void {
    const registers = [this.#registry];
    for (const { name, help, kind, read } of metrics) {
      if (kind === 'gauge') new Gauge({ name, help, registers, collect: sumInto(read) });
      else
        new Counter({
          name,
          help,
          registers,
          collect(): void {
            this.reset();
            this.inc(read());
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

  aborted(): void {
    this.#aborted.inc();
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
