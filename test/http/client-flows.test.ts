/** Does every client in use find all the rooms, in the way in which it really asks? */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { NaiveIndex } from '../model/naive-index.js';
import { cinny, dart, fractal, gomuks, jsSdk, neoChat, ruma, rumaUnstable, type Session } from './clients.js';
import { HomeserverStub } from './homeserver-stub.js';
import {
  alice,
  bob,
  configWithHomeserver,
  roomIds,
  stablePath,
  startServer,
  testConfig,
  unstablePath,
  unstableSharedPath,
  type ServerUnderTest,
} from './server-under-test.js';

/** Names that need encoding, one for each number of pages. */
const few = '@few+=/._-:far.example:8448';
const none = '@none:hs.example';

/** Pages of 7: 0, 1, and 29 rooms in 5 pages. */
const pageSize = 7;

const versionsPath = '/_matrix/client/versions';
const truth = new NaiveIndex();

const memberships = [
  ...roomIds(29).flatMap((roomId) => [alice, bob].map((userId) => ({ userId, roomId, joined: true }))),
  ...roomIds(5, 'few').flatMap((roomId) => [alice, few].map((userId) => ({ userId, roomId, joined: true }))),
  ...roomIds(40, 'alone').map((roomId) => ({ userId: alice, roomId, joined: true })),
  ...roomIds(40, 'without').map((roomId) => ({ userId: bob, roomId, joined: true })),
];

truth.apply(memberships);

/** Every flow runs against a server of its own answers and one that a homeserver stands behind, inline and pooled. */
describe.each([
  ['alone, inline', 0, false],
  ['beside a homeserver that knows nothing of mutual rooms, two shards', 2, true],
])('%s', (_, shards, besideHomeserver) => {
  let stub: HomeserverStub | undefined;
  let server: ServerUnderTest;

  beforeAll(async () => {
    if (besideHomeserver) {
      stub = await HomeserverStub.start();
      stub.knows('alice-token', alice);
      server = await startServer(configWithHomeserver(stub.url, { shards, pageSize }));
    } else {
      server = await startServer(testConfig({ shards, pageSize }));
    }
    await server.app.apply(memberships);
  });

  afterAll(async () => {
    await server.close();
    await stub?.close();
  });

  const session = (): Session => ({ url: server.url, token: 'alice-token', visited: [] });

  /** Paths by how often they were asked for. */
  const visits = ({ visited }: Session): Record<string, number> => {
    const counts: Record<string, number> = {};
    for (const path of visited) counts[path] = (counts[path] ?? 0) + 1;
    return counts;
  };

  test.each([
    ['matrix-js-sdk `_unstable_getSharedRooms`', jsSdk, unstablePath, true],
    ['cinnyapp/cinny, SableClient/Sable', cinny, stablePath, true],
    ['matrix-dart-sdk `getMutualRooms`', dart, stablePath, false],
    ['ruma `mutual_rooms::v1`', ruma, stablePath, true],
    ['ruma-client-api `get_mutual_rooms::unstable`', rumaUnstable, unstablePath, true],
    ['a Fractal downstream', fractal, stablePath, false],
  ])('%s', async (_name, client, path, looksAtVersions) => {
    for (const [other, pages] of [
      [bob, 5],
      [few, 1],
      [none, 1],
    ] as const) {
      const asking = session();
      const rooms = await client(asking, other);
      expect([...rooms!].sort()).toEqual(truth.mutual([alice, other]));
      expect(visits(asking)).toEqual({ ...(looksAtVersions ? { [versionsPath]: 1 } : {}), [path]: pages });
    }
  });

  test('mautrix-go and gomuks: empty `from` first, at most 5 pages', async () => {
    for (const other of [bob, few, none]) {
      const asking = session();
      expect(await gomuks(asking, other)).toEqual({ rooms: truth.mutual([alice, other]), more: 0 });
      expect(asking.visited[1]).toBe(stablePath);
    }
  });

  test('an older matrix-js-sdk that knows only the forms by path', async () => {
    for (const [flagsKnown, path] of [
      [['mutual_rooms', ''], unstablePath],
      [[''], unstableSharedPath],
    ] as const) {
      for (const other of [bob, few, none]) {
        const asking = session();
        expect((await jsSdk(asking, other, flagsKnown)).sort()).toEqual(truth.mutual([alice, other]));
        expect(asking.visited).toEqual([versionsPath, `${path}/${encodeURIComponent(other)}`]);
      }
    }
  });

  test('NeoChat: one page, which is empty only when there are no rooms', async () => {
    const first = await neoChat(session(), bob);
    expect(first).toHaveLength(pageSize);
    expect(truth.mutual([alice, bob])).toEqual(expect.arrayContaining(first));
    expect(await neoChat(session(), none)).toEqual([]);
  });
});

describe('more rooms than a client wants', () => {
  let server: ServerUnderTest;
  const rooms = roomIds(37);

  beforeAll(async () => {
    server = await startServer(testConfig({ pageSize: 5 }));
    await server.join([alice, bob], rooms);
  });

  afterAll(() => server.close());

  test('gomuks stops after 5 pages and says how many more there are', async () => {
    const asking: Session = { url: server.url, token: 'alice-token', visited: [] };
    const found = await gomuks(asking, bob);
    expect([found.rooms.length, found.more]).toEqual([25, 12]);
    expect(asking.visited).toHaveLength(1 + 5);
  });

  test('a Fractal downstream stops after 5 pages', async () => {
    const asking: Session = { url: server.url, token: 'alice-token', visited: [] };
    expect(await fractal(asking, bob)).toHaveLength(25);
  });

  test('Cinny walks to the end', async () => {
    const asking: Session = { url: server.url, token: 'alice-token', visited: [] };
    expect((await cinny(asking, bob)).sort()).toEqual([...rooms].sort());
    expect(asking.visited).toHaveLength(1 + 8);
  });
});

test('the probe of a Fractal downstream: an error that is no 404 hides the feature', async () => {
  const server = await startServer(testConfig());
  try {
    const asking: Session = { url: server.url, token: 'alice-token', visited: [] };
    expect(await fractal(asking, alice)).toBeUndefined();
    expect(asking.visited).toEqual([stablePath]);
  } finally {
    await server.close();
  }
});
