/**
 * What do the clients in use send, in which order, and what do they read? One function for each, no more forgiving than
 * the client itself. All of them fetch over real HTTP.
 */
const flag = 'uk.half-shot.msc2666';
const unstable = `/_matrix/client/unstable/${flag}/user`;
const stable = '/_matrix/client/v1/mutual_rooms';

export interface Session {
  readonly url: string;
  readonly token: string;
  /** Paths that were asked for, without the query. */
  readonly visited: string[];
}

interface Versions {
  readonly versions: readonly string[];
  readonly unstable_features?: Readonly<Record<string, boolean>>;
}

interface Page {
  readonly joined: readonly string[];
  readonly count?: unknown;
  readonly next_batch?: unknown;
  readonly next_batch_token?: unknown;
}

class HttpError extends Error {
  readonly status: number;

  constructor(status: number, body: string) {
    super(`${status}: ${body}`);
    this.status = status;
  }
}

async function getJson(session: Session, path: string, query?: URLSearchParams | string): Promise<unknown> {
  session.visited.push(path);
  const search = query === undefined ? '' : `?${query.toString()}`;
  const response = await fetch(`${session.url}${path}${search}`, {
    headers: { authorization: `Bearer ${session.token}` },
  });
  const text = await response.text();
  if (!response.ok) throw new HttpError(response.status, text);
  return JSON.parse(text);
}

async function getPage(session: Session, path: string, query?: URLSearchParams | string): Promise<Page> {
  return (await getJson(session, path, query)) as Page;
}

async function getVersions(session: Session): Promise<Versions> {
  return (await getJson(session, '/_matrix/client/versions')) as Versions;
}

/** A client that never stops would hang the tests: no real user shares that many pages here. */
function checkEnds(pages: number): void {
  if (pages > 1000) throw new Error('the pages do not end');
}

/** What `encodeParams` of matrix-js-sdk does: undefined values are left out. */
function params(values: Record<string, string | undefined>): URLSearchParams {
  const given = Object.entries(values).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return new URLSearchParams(given);
}

/**
 * matrix-js-sdk `_unstable_getSharedRooms`: one of the three old flags, else it throws; the query form with
 * `batch_token`, else the form by path. It does not know the stable endpoint and ignores `count`.
 * @param flagsKnown an older version knew fewer of them
 */
export async function jsSdk(
  session: Session,
  userId: string,
  flagsKnown: readonly string[] = ['query_mutual_rooms', 'mutual_rooms', ''],
): Promise<string[]> {
  const { unstable_features: features = {} } = await getVersions(session);
  const has = (name: string): boolean =>
    flagsKnown.includes(name) && features[name === '' ? flag : `${flag}.${name}`];
  if (has('query_mutual_rooms')) {
    const rooms: string[] = [];
    let token: unknown;
    for (let pages = 1; ; pages += 1) {
      const query = params({ user_id: userId, batch_token: token as string | undefined });
      const page = await getPage(session, `${unstable}/mutual_rooms`, query);
      rooms.push(...page.joined);
      token = page.next_batch_token;
      if (token === undefined) return rooms;
      checkEnds(pages);
    }
  }
  const name = has('mutual_rooms') ? 'mutual_rooms' : has('') ? 'shared_rooms' : undefined;
  if (name === undefined) throw new Error('Server does not support the Mutual Rooms API');
  return [...(await getPage(session, `${unstable}/${name}/${encodeURIComponent(userId)}`)).joined];
}

/** Cinny: exactly `v1.19` or the stable flag, else matrix-js-sdk; stops only when `next_batch` is not a string. */
export async function cinny(session: Session, userId: string): Promise<string[]> {
  const { versions, unstable_features: features = {} } = await getVersions(session);
  if (!versions.includes('v1.19') && !features[`${flag}.query_mutual_rooms.stable`]) {
    return jsSdk(session, userId);
  }
  const rooms: string[] = [];
  let from: string | undefined;
  for (let pages = 1; ; pages += 1) {
    const page = await getPage(session, stable, params({ user_id: userId, from }));
    rooms.push(...page.joined);
    if (typeof page.next_batch !== 'string') return rooms;
    from = page.next_batch;
    checkEnds(pages);
  }
}

/** mautrix-go and gomuks: `from=` EMPTY first, five pages or 500 rooms at most; sorted, without duplicates; "N more". */
export async function gomuks(session: Session, userId: string): Promise<{ rooms: string[]; more: number }> {
  const { versions, unstable_features: features = {} } = await getVersions(session);
  const isStable =
    features[`${flag}.query_mutual_rooms.stable`] ||
    versions.some((version) => /^v1\.(19|[2-9]\d)$/.test(version));
  if (!isStable && !features[`${flag}.query_mutual_rooms`])
    throw new Error('server does not support mutual rooms');
  const rooms = new Set<string>();
  let from = '';
  let count = 0;
  for (let pages = 0; pages < 5 && rooms.size < 500; pages += 1) {
    const query = new URLSearchParams({ user_id: userId, from });
    const page = await getPage(session, isStable ? stable : `${unstable}/mutual_rooms`, query);
    for (const room of page.joined) rooms.add(room);
    count = page.count as number;
    from = (page.next_batch as string | undefined) ?? '';
    if (from === '') break;
  }
  return { rooms: [...rooms].sort(), more: count - rooms.size };
}

/** matrix-dart-sdk: no gate; `count` is a required integer, `joined` a required list of texts. */
export async function dart(session: Session, userId: string): Promise<string[]> {
  const rooms: string[] = [];
  let from: string | undefined;
  for (let pages = 1; ; pages += 1) {
    const page = await getPage(session, stable, params({ from, user_id: userId }));
    if (!Number.isInteger(page.count)) throw new TypeError('count is not an int');
    if (!page.joined.every((room) => typeof room === 'string'))
      throw new TypeError('joined is not a List<String>');
    if (page.next_batch !== undefined && typeof page.next_batch !== 'string') {
      throw new TypeError('next_batch is not a String?');
    }
    rooms.push(...page.joined);
    from = page.next_batch;
    if (from === undefined) return rooms;
    checkEnds(pages);
  }
}

/** ruma's stable request: `1.19` or the stable flag; `joined` and `count` are required. */
export async function ruma(session: Session, userId: string): Promise<string[]> {
  const { versions, unstable_features: features = {} } = await getVersions(session);
  if (!versions.includes('v1.19') && !features[`${flag}.query_mutual_rooms.stable`])
    throw new Error('no path known');
  return dart(session, userId);
}

/** ruma-client-api `get_mutual_rooms::unstable`: the query form with `from` and `next_batch`. */
export async function rumaUnstable(session: Session, userId: string): Promise<string[]> {
  const { unstable_features: features = {} } = await getVersions(session);
  if (!features[`${flag}.query_mutual_rooms`]) throw new Error('no path known');
  const rooms: string[] = [];
  let from: string | undefined;
  for (let pages = 1; ; pages += 1) {
    const page = await getPage(session, `${unstable}/mutual_rooms`, params({ user_id: userId, from }));
    rooms.push(...page.joined);
    from = page.next_batch as string | undefined;
    if (from === undefined) return rooms;
    checkEnds(pages);
  }
}

/** NeoChat: the old flag only, `user_id` only (`@` and `:` as they are), one page. */
export async function neoChat(session: Session, userId: string): Promise<string[]> {
  const { unstable_features: features = {} } = await getVersions(session);
  if (!features[`${flag}.query_mutual_rooms`]) throw new Error('not offered');
  return [...(await getPage(session, `${unstable}/mutual_rooms`, `user_id=${userId}`)).joined];
}

/** A Fractal downstream: HTTP 404 is the probe, then the unstable form; five pages at most; other errors hide it. */
export async function fractal(session: Session, userId: string): Promise<string[] | undefined> {
  const walk = async (path: string): Promise<string[]> => {
    const rooms: string[] = [];
    let from: string | undefined;
    for (let pages = 0; pages < 5; pages += 1) {
      const page = await getPage(session, path, params({ user_id: userId, from }));
      rooms.push(...page.joined);
      from = page.next_batch as string | undefined;
      if (from === undefined) break;
    }
    return rooms;
  };
  try {
    return await walk(stable);
  } catch (error) {
    if (!(error instanceof HttpError) || error.status !== 404) return undefined;
    return walk(`${unstable}/mutual_rooms`);
  }
}
