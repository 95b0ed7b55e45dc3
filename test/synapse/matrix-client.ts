/**
 * One user's access to a homeserver, as far as the tests of the feed need the client-server API and Synapse's admin API.
 *
 * Invariant: every call ends, after a minute at the latest, and throws MatrixAnswerError for an answer that is no success.
 * Which server answers is `baseUrl`: Synapse itself, or a reverse proxy before it.
 */
import { createHmac } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { SynapseServer } from './synapse-server.js';

const callMsMax = 60_000;
const purgeMsMax = 20_000;

/** The pages of one answer, at most: more would be a token that leads in circles. */
const pagesMax = 1_000;

export class MatrixAnswerError extends Error {
  readonly status: number;
  readonly errcode: string;

  constructor(method: string, path: string, status: number, errcode: string, error: string) {
    super(`${method} ${path} answered ${status} ${errcode}: ${error}`);
    this.status = status;
    this.errcode = errcode;
  }
}

export interface MutualRooms {
  readonly rooms: string[];
  readonly count: number;
}

export interface MutualRoomsPage {
  readonly joined: string[];
  readonly count: number;
  readonly next_batch?: string;
}

type Json = Record<string, unknown>;

export class MatrixClient {
  readonly baseUrl: string;
  readonly userId: string;
  readonly accessToken: string;

  constructor(baseUrl: string, userId: string, accessToken: string) {
    this.baseUrl = baseUrl;
    this.userId = userId;
    this.accessToken = accessToken;
  }

  /** The same session through another server. */
  at(baseUrl: string): MatrixClient {
    return new MatrixClient(baseUrl, this.userId, this.accessToken);
  }

  async call<Answer = Json>(method: string, path: string, body?: Json): Promise<Answer> {
    return call<Answer>(this.baseUrl, method, path, body, this.accessToken);
  }

  async createRoom(more: Json = {}): Promise<string> {
    const body = { preset: 'public_chat', ...more };
    return (await this.call<{ room_id: string }>('POST', '/_matrix/client/v3/createRoom', body)).room_id;
  }

  /** @param via a server to ask when this one does not know the room */
  async join(roomId: string, via?: string): Promise<void> {
    const path = `/_matrix/client/v3/join/${encodeURIComponent(roomId)}`;
    await this.call('POST', via === undefined ? path : `${path}?via=${via}&server_name=${via}`, {});
  }

  async leave(roomId: string): Promise<void> {
    await this.#room(roomId, 'leave');
  }

  async invite(roomId: string, userId: string): Promise<void> {
    await this.#room(roomId, 'invite', { user_id: userId });
  }

  async kick(roomId: string, userId: string): Promise<void> {
    await this.#room(roomId, 'kick', { user_id: userId });
  }

  async ban(roomId: string, userId: string): Promise<void> {
    await this.#room(roomId, 'ban', { user_id: userId });
  }

  async unban(roomId: string, userId: string): Promise<void> {
    await this.#room(roomId, 'unban', { user_id: userId });
  }

  /** @returns the room that replaces it */
  async upgrade(roomId: string, version: string): Promise<string> {
    const answer = await this.#room<{ replacement_room: string }>(roomId, 'upgrade', {
      new_version: version,
    });
    return answer.replacement_room;
  }

  async send(roomId: string, text: string): Promise<void> {
    const path = `/_matrix/client/v3/rooms/${encodeURIComponent(roomId)}/send/m.room.message/${Math.random()}`;
    await this.call('PUT', path, { msgtype: 'm.text', body: text });
  }

  async rename(displayName: string): Promise<void> {
    const path = `/_matrix/client/v3/profile/${encodeURIComponent(this.userId)}/displayname`;
    await this.call('PUT', path, { displayname: displayName });
  }

  async joinedRooms(): Promise<string[]> {
    return (await this.call<{ joined_rooms: string[] }>('GET', '/_matrix/client/v3/joined_rooms'))
      .joined_rooms;
  }

  async mutualRoomsPage(userId: string, from?: string): Promise<MutualRoomsPage> {
    const query = new URLSearchParams({ user_id: userId, ...(from === undefined ? undefined : { from }) });
    return this.call<MutualRoomsPage>('GET', `/_matrix/client/v1/mutual_rooms?${query}`);
  }

  /** All pages. @throws when the pages differ in the count or do not end */
  async mutualRooms(userId: string): Promise<MutualRooms> {
    const rooms: string[] = [];
    let page = await this.mutualRoomsPage(userId);
    const { count } = page;
    rooms.push(...page.joined);
    for (let pages = 1; page.next_batch !== undefined; pages++) {
      if (pages > pagesMax) throw new Error(`the pages of ${this.userId} and ${userId} do not end`);
      page = await this.mutualRoomsPage(userId, page.next_batch);
      if (page.count !== count) throw new Error(`count is ${count}, and ${page.count} on a later page`);
      rooms.push(...page.joined);
    }
    return { rooms: rooms.sort(), count };
  }

  /** As an administrator. */
  async deactivate(userId: string): Promise<void> {
    await this.call('POST', `/_synapse/admin/v1/deactivate/${encodeURIComponent(userId)}`, { erase: false });
  }

  /** As an administrator: everybody leaves, and the room goes out of the database; returns when that is done. */
  async purge(roomId: string): Promise<void> {
    const { delete_id: id } = await this.call<{ delete_id: string }>(
      'DELETE',
      `/_synapse/admin/v2/rooms/${encodeURIComponent(roomId)}`,
      { purge: true, force_purge: true },
    );
    // After an outage Synapse may have forgotten it.
    const signal = AbortSignal.timeout(purgeMsMax);
    for (;;) {
      const path = `/_synapse/admin/v2/rooms/delete_status/${id}`;
      const { status } = await this.call<{ status: string }>('GET', path);
      if (status === 'complete') return;
      if (status === 'failed') throw new MatrixAnswerError('GET', path, 500, '', 'the purge failed');
      signal.throwIfAborted();
      await sleep(50);
    }
  }

  async #room<Answer>(roomId: string, action: string, body: Json = {}): Promise<Answer> {
    return this.call<Answer>(
      'POST',
      `/_matrix/client/v3/rooms/${encodeURIComponent(roomId)}/${action}`,
      body,
    );
  }
}

/** Makes an account by the shared secret, which works with registration closed. */
export async function register(synapse: SynapseServer, name: string, admin = false): Promise<MatrixClient> {
  const path = '/_synapse/admin/v1/register';
  const { nonce } = await call<{ nonce: string }>(synapse.url, 'GET', path);
  const password = passwordOf(name);
  const mac = createHmac('sha1', synapse.registrationSecret)
    .update([nonce, name, password, admin ? 'admin' : 'notadmin'].join('\0'))
    .digest('hex');
  const body = { nonce, username: name, password, admin, mac };
  const answer = await call<{ user_id: string; access_token: string }>(synapse.url, 'POST', path, body);
  return new MatrixClient(synapse.url, answer.user_id, answer.access_token);
}

/** A session of an account that `register` made, by its password. */
export async function login(baseUrl: string, name: string): Promise<MatrixClient> {
  const answer = await call<{ user_id: string; access_token: string }>(
    baseUrl,
    'POST',
    '/_matrix/client/v3/login',
    {
      type: 'm.login.password',
      identifier: { type: 'm.id.user', user: name },
      password: passwordOf(name),
    },
  );
  return new MatrixClient(baseUrl, answer.user_id, answer.access_token);
}

function passwordOf(name: string): string {
  return `password of ${name}`;
}

async function call<Answer>(
  baseUrl: string,
  method: string,
  path: string,
  body?: Json,
  accessToken?: string,
): Promise<Answer> {
  const response = await fetch(`${baseUrl}${path}`, {
    method,
    headers: {
      ...(accessToken === undefined ? undefined : { authorization: `Bearer ${accessToken}` }),
      ...(body === undefined ? undefined : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? undefined : { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(callMsMax),
  });
  const text = await response.text();
  if (response.ok) return JSON.parse(text) as Answer;
  let errcode = '';
  let error = text.slice(0, 200);
  try {
    ({ errcode, error } = JSON.parse(text) as { errcode: string; error: string });
  } catch {
    // Not an answer of Matrix: a proxy's page, perhaps.
  }
  throw new MatrixAnswerError(method, path, response.status, errcode, error);
}
