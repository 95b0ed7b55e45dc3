/**
 * `import`: streams a file of NDJSON to a running server, in batches of whole lines.
 *
 * A rejected line is reported under its number in the file and does not stop the rest, unless `strict`: then nothing
 * behind it is sent. Cost: one batch of about `batchBytesMax` is held, whatever the length of the file.
 */
import { rejectedListedMax } from '../base/limits.js';
import { loadConfig } from '../config/load.js';
import { readLines } from '../source/formats/lines.js';
import { itemOf } from '../source/formats/ndjson.js';
import { CommandError, exitCodes } from './command-error.js';
import { type ImportInput, openInput } from './import-input.js';
import { MembershipsClient } from './memberships-client.js';
import { watchedBar } from './progress-bar.js';
import { serverUrl } from './server-url.js';
import type { Terminal } from './terminal.js';

/** About what a server applies in a blink; every configuration takes a body of that size. */
const batchBytesMax = 2 ** 20;
const batchLinesMax = 10_000;

const newline = Buffer.from('\n');

export interface ImportOptions {
  /** `-` is stdin. */
  readonly file: string;
  readonly config?: string | undefined;
  /** Default: where the configuration listens. */
  readonly url?: string | undefined;
  readonly strict?: boolean | undefined;
}

/**
 * @throws CommandError also where every line was rejected, and with `strict` for the first one; the summary is printed all
 * the same
 */
export async function importFile(options: ImportOptions, terminal: Terminal): Promise<void> {
  const input = await openInput(options.file, terminal.stdin);
  const startedAtMs = terminal.clock.monotonicMs();
  // Only where the end is known.
  const { bytesTotal } = input;
  const bar = bytesTotal === undefined ? undefined : watchedBar(terminal);
  const remark = (text: string): void => (bar === undefined ? terminal.err(text) : bar.above(text));
  const run = new ImportRun(makeClient(options, remark, terminal), input, {
    strict: options.strict === true,
    onRejected: (line, reason) => remark(`line ${line}: ${reason}\n`),
    onProgress: (bytesSent) => bar?.say(bytesSent / Math.max(1, bytesTotal ?? 1)),
  });
  const sumUp = (): void => {
    bar?.end();
    if (run.unlisted > 0) terminal.err(`and ${run.unlisted} more rejected lines\n`);
    const seconds = (terminal.clock.monotonicMs() - startedAtMs) / 1000;
    terminal.out(
      `applied ${run.applied}, ignored ${run.ignored}, rejected ${run.rejected} in ${seconds.toFixed(1)} s\n`,
    );
  };
  try {
    await run.all();
  } catch (error) {
    // Where nothing has happened there is nothing to sum up.
    if (run.applied + run.ignored + run.rejected > 0) sumUp();
    else bar?.end();
    throw error;
  }
  sumUp();
  if (options.strict === true && run.rejected > 0) {
    throw new CommandError(
      `${input.name}: stopped at a rejected line (--strict); what stood before it is applied`,
    );
  }
  if (run.rejected > 0 && run.applied + run.ignored === 0)
    throw new CommandError(`${input.name}: no line was accepted; "import --help" shows what a line is`);
}

function makeClient(
  { config: file, url }: ImportOptions,
  onWait: (text: string) => void,
  terminal: Terminal,
): MembershipsClient {
  const { listen, serviceToken, source } = loadConfig({ file, env: terminal.env, serves: false });
  if (source !== undefined) {
    throw new CommandError(
      'memberships come from the source of this configuration: nothing is imported beside it',
      {
        exitCode: exitCodes.usage,
      },
    );
  }
  if (serviceToken === undefined) {
    throw new CommandError(
      'there is no service token: give service_token in --config, or MUTUAL_ROOMS_SERVICE_TOKEN',
      {
        exitCode: exitCodes.usage,
      },
    );
  }
  if (url === undefined && listen.port === 0) {
    throw new CommandError('the configuration listens on any free port, so say which with --url', {
      exitCode: exitCodes.usage,
    });
  }
  const base = url?.replace(/\/+$/, '') ?? serverUrl(listen);
  if (!URL.canParse(base) || !/^https?:/i.test(base)) {
    throw new CommandError(
      `--url must be an http or https URL such as http://127.0.0.1:8090, but is "${base}"`,
      {
        exitCode: exitCodes.usage,
      },
    );
  }
  return new MembershipsClient({ url: base, serviceToken, terminal, onWait });
}

interface ImportRunOptions {
  readonly strict: boolean;
  readonly onRejected: (line: number, reason: string) => void;
  /** Told how many bytes of the input the server has taken. */
  readonly onProgress: (bytesSent: number) => void;
}

/** The counts of one import, and the batch that is being filled. */
class ImportRun {
  applied = 0;
  ignored = 0;
  rejected = 0;
  readonly #client: MembershipsClient;
  readonly #input: ImportInput;
  readonly #options: ImportRunOptions;
  #listed = 0;
  #parts: Buffer[] = [];
  #bytes = 0;
  /** The number in the file of each line in the batch: blank lines are not sent, so an offset would not do. */
  #numbers: number[] = [];

  constructor(client: MembershipsClient, input: ImportInput, options: ImportRunOptions) {
    this.#client = client;
    this.#input = input;
    this.#options = options;
  }

  /** Ends early, with `strict`, at the first rejected line. */
  async all(): Promise<void> {
    const { strict } = this.#options;
    for await (const lines of readLines(this.#input.bytes)) {
      for (const line of lines) {
        const fault = strict || line.bytes === undefined ? itemOf(line).fault : undefined;
        if (fault !== undefined && strict) {
          await this.#flush();
          this.#rejectLine(line.number, fault);
          return;
        }
        if (fault !== undefined) this.#rejectLine(line.number, fault);
        else if (line.bytes !== undefined) await this.#add(line.number, line.bytes);
        // The server's rules may be stricter than ours.
        if (strict && this.rejected > 0) return;
      }
    }
    await this.#flush();
  }

  /** Rejected lines that were counted but not listed. */
  get unlisted(): number {
    return this.rejected - this.#listed;
  }

  async #add(number: number, bytes: Buffer): Promise<void> {
    if (this.#bytes + bytes.length + 1 > batchBytesMax || this.#numbers.length === batchLinesMax)
      await this.#flush();
    // Copied: the line is a view of a piece that may be filled anew before the batch is sent.
    this.#parts.push(Buffer.from(bytes), newline);
    this.#bytes += bytes.length + 1;
    this.#numbers.push(number);
  }

  async #flush(): Promise<void> {
    if (this.#numbers.length === 0) return;
    const numbers = this.#numbers;
    const body = Buffer.concat(this.#parts, this.#bytes);
    this.#parts = [];
    this.#bytes = 0;
    this.#numbers = [];
    // What is read until the answer is here is not sent yet.
    const bytesRead = this.#input.bytesRead();
    const answer = await this.#client.send(body);
    this.applied += answer.applied;
    this.ignored += answer.ignored;
    for (const { line, error } of answer.rejected) this.#rejectLine(numbers[line - 1], error);
    this.rejected += answer.rejectedCount - answer.rejected.length;
    this.#options.onProgress(bytesRead);
  }

  #rejectLine(line: number, reason: string): void {
    this.rejected++;
    if (this.#listed === rejectedListedMax) return;
    this.#listed++;
    this.#options.onRejected(line, reason);
  }
}
