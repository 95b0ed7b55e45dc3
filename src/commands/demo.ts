/**
 * `demo`: a server with a made-up community in it, and three requests to paste. Needs no configuration, keeps nothing.
 */
import type { Logger } from 'pino';
import type { App } from '../service/app.js';
import { type Config, configOfValues } from '../config/load.js';
import { type Community, makeCommunity } from '../source/demo/community.js';
import { CommandError } from './command-error.js';
import { makeLogger } from './log.js';
import { Progress } from './progress-bar.js';
import { closeOnSignal, start } from './serve.js';
import type { Terminal } from './terminal.js';

const demoPort = 8090;
const demoHost = '127.0.0.1';
const serviceToken = 'demo';

/** So few that the friends share more than a page. */
const pageSizeMax = 10;

/** Making up so many users takes seconds, in which nothing is heard. */
const announcedUsersMin = 100_000;

export interface DemoOptions {
  /** Default: 8090, or any free one when that is taken. */
  readonly port?: number | undefined;
  readonly users?: number | undefined;
  readonly rooms?: number | undefined;
  readonly seed?: number | undefined;
}

export async function demo({ port, users, rooms, seed }: DemoOptions, terminal: Terminal): Promise<void> {
  if (users !== undefined && users >= announcedUsersMin)
    terminal.err(`Making up a community of ${users} users, which takes a while.\n`);
  const community = makeCommunity({
    ...(users !== undefined && { users }),
    ...(rooms !== undefined && { rooms }),
    ...(seed !== undefined && { seed }),
  });
  // Requests and signals of a demo need no log.
  const logger = makeLogger({ logLevel: 'warn' }, terminal);
  const app = await startDemo(community, port, logger, terminal);
  await load(community, app, terminal);
  terminal.out(greeting(community, app.url));
  await closeOnSignal(app, logger, terminal.stopSignal(), terminal);
}

async function load(community: Community, app: App, terminal: Terminal): Promise<void> {
  const progress = new Progress(terminal, 'loading the community');
  let done = 0;
  for (const changes of community.changes()) {
    await app.apply(changes);
    done += changes.length;
    progress.say(done / community.membershipCount);
  }
  progress.end();
}

async function startDemo(
  community: Community,
  port: number | undefined,
  logger: Logger,
  terminal: Terminal,
): Promise<App> {
  try {
    return await start(demoConfig(community, port ?? demoPort), logger);
  } catch (error) {
    const taken =
      error instanceof CommandError && (error.cause as NodeJS.ErrnoException).code === 'EADDRINUSE';
    if (!taken || port !== undefined) throw error;
    terminal.err(`Port ${demoPort} is taken, so the demo listens on a free one.\n`);
    return start(demoConfig(community, 0), logger);
  }
}

function demoConfig({ friends: [alice, bob], stranger, sharedCount }: Community, port: number): Config {
  return configOfValues({
    listen: { host: demoHost, port },
    data_dir: null,
    page_size: Math.max(1, Math.min(pageSizeMax, Math.floor(sharedCount / 2))),
    auth: { static_tokens: { 'alice-token': alice, 'bob-token': bob, 'zoe-token': stranger } },
    service_token: serviceToken,
  });
}

function greeting({ friends: [alice, bob], stranger, ownRoom, ...counts }: Community, url: string): string {
  const get = (userId: string): string =>
    `curl -s -H 'Authorization: Bearer alice-token' '${url}/_matrix/client/v1/mutual_rooms?user_id=${encodeURIComponent(userId)}'`;
  const change = JSON.stringify({ user_id: stranger, room_id: ownRoom, membership: 'join' });
  return `mutual-rooms listens on ${url} (demo: ${counts.userCount} users, ${counts.roomCount} rooms, ${counts.membershipCount} memberships, memory only)

The first page of the ${counts.sharedCount} rooms that ${alice} shares with ${bob}; send next_batch as from for the next one:
  ${get(bob)}

The same with ${stranger}, a stranger: no room.
  ${get(stranger)}

Let the stranger join a room of ${alice}, then ask again:
  curl -s -H 'Authorization: Bearer ${serviceToken}' -H 'Content-Type: application/x-ndjson' -d '${change}' '${url}/_mutual_rooms/v1/memberships'

Numbers for Prometheus are at ${url}/metrics. Ctrl-C ends the demo.
`;
}
