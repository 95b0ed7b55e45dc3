/** Does each spelling of the endpoint answer each question, good or bad, as the specification and MSC2666 have it? */
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import {
  alice,
  bob,
  carol,
  joinedOf,
  openServer,
  roomIds,
  stablePath,
  startServer,
  testConfig,
  unstablePath,
  unstableSharedPath,
  type Answer,
  type ServerUnderTest,
} from './server-under-test.js';

const unstableStablePath = '/_matrix/client/unstable/mutual_rooms';
const queryPaths = [stablePath, unstableStablePath, unstablePath];
const nextToken = expect.stringMatching(/^[0-9A-Za-z\-._~]{1,255}$/) as unknown;

let server: ServerUnderTest;
const shared = roomIds(8);

beforeAll(async () => {
  server = await startServer(testConfig({ pageSize: 3 }));
  await server.join([alice, bob], shared);
  await server.join([alice, carol], ['!one:far.example']);
  await server.join([alice], roomIds(4, 'alone'));
});

afterAll(() => server.close());

const ask = (query: string, token: string | undefined = 'alice-token', path = stablePath): Promise<Answer> =>
  server.ask(`${path}${query}`, { token });

function expectError(answer: Answer, status: number, errcode: string): void {
  expect([answer.status, answer.json.errcode]).toEqual([status, errcode]);
}

/** Walks to the end. @param param carries the token; @param key gives the next one */
async function walk(path: string, param: string, key: string): Promise<Answer[]> {
  const pages: Answer[] = [];
  let token: string | undefined;
  do {
    const page = await ask(
      `?user_id=${encodeURIComponent(bob)}${token === undefined ? '' : `&${param}=${token}`}`,
      'alice-token',
      path,
    );
    expect(page.status).toBe(200);
    pages.push(page);
    token = page.json[key] as string | undefined;
  } while (token !== undefined && pages.length < 10);
  return pages;
}

describe.each(queryPaths)('%s', (path) => {
  test('"`user_id` missing": 400 M_MISSING_PARAM', async () => {
    expectError(await ask('', 'alice-token', path), 400, 'M_MISSING_PARAM');
    expectError(await ask('?from=x', 'alice-token', path), 400, 'M_MISSING_PARAM');
    expectError(await ask('?User_Id=@bob:hs.example', 'alice-token', path), 400, 'M_MISSING_PARAM');
  });

  test('"`user_id` non-compliant": 400 M_INVALID_PARAM, also when it is empty', async () => {
    for (const userId of ['', '@:x', '@a b:x', '@é:x', 'bob', '@bob', `@${'a'.repeat(254)}:x`, '\0', '%']) {
      expectError(
        await ask(`?user_id=${encodeURIComponent(userId)}`, 'alice-token', path),
        400,
        'M_INVALID_PARAM',
      );
    }
  });

  test('a `user_id` of bytes that are no UTF-8 is non-compliant; a `%` that encodes nothing is a `%`', async () => {
    for (const userId of [
      '@%ff:x',
      '@%c3%bf:x',
      '@%c3%28:x',
      '@a:%ff',
      '@%ef%bf%bd:x',
      '@%00:x',
      '%',
      '%zz',
    ]) {
      expectError(await ask(`?user_id=${userId}`, 'alice-token', path), 400, 'M_INVALID_PARAM');
    }
    // Historical IDs may hold one.
    for (const userId of ['@%:x', '@%zz:x', '@%25zz:x', '@50%25:x']) {
      expect((await ask(`?user_id=${userId}`, 'alice-token', path)).json).toEqual({ joined: [], count: 0 });
    }
  });

  test.each(['from', 'batch_token'])('a token is read as `%s`, whatever the spelling', async (param) => {
    const pages = await walk(path, param, 'next_batch');
    expect(pages.flatMap(joinedOf).sort()).toEqual([...shared].sort());
  });

  test.each(['since', 'next_batch', 'next_batch_token'])(
    'a token as `%s` is refused by name: passed over, it would be the first page for ever',
    async (param) => {
      const token = (await ask(`?user_id=${bob}`, 'alice-token', path)).json.next_batch as string;
      const answer = await ask(`?user_id=${bob}&${param}=${token}`, 'alice-token', path);
      expectError(answer, 400, 'M_INVALID_PARAM');
      expect(answer.json.error).toContain(param);
      expect((await ask(`?user_id=${bob}&${param}=`, 'alice-token', path)).status).toBe(200);
    },
  );

  test('"own `user_id`": 400 M_INVALID_PARAM', async () => {
    expectError(await ask(`?user_id=${alice}`, 'alice-token', path), 400, 'M_INVALID_PARAM');
    expectError(
      await ask(`?user_id=${encodeURIComponent(alice)}`, 'alice-token', path),
      400,
      'M_INVALID_PARAM',
    );
    expectError(await ask(`?user_id=${bob}`, 'bob-token', path), 400, 'M_INVALID_PARAM');
  });

  test('own ID in another case is another user: 200', async () => {
    expect((await ask('?user_id=@Alice:hs.example', 'alice-token', path)).json).toEqual({
      joined: [],
      count: 0,
    });
  });

  test('"more than one `user_id`": 400 M_INVALID_PARAM, also when they are equal', async () => {
    expectError(await ask(`?user_id=${bob}&user_id=${carol}`, 'alice-token', path), 400, 'M_INVALID_PARAM');
    expectError(await ask(`?user_id=${bob}&user_id=${bob}`, 'alice-token', path), 400, 'M_INVALID_PARAM');
  });

  test('"bad/expired `from`": malformed is 400 M_INVALID_PARAM', async () => {
    const bad = [
      'x',
      '0',
      '!',
      '%00',
      '%ff',
      'A'.repeat(58),
      'A'.repeat(59),
      'A'.repeat(255),
      'A'.repeat(5000),
    ];
    for (const from of bad) {
      expectError(await ask(`?user_id=${bob}&from=${from}`, 'alice-token', path), 400, 'M_INVALID_PARAM');
    }
  });

  test('two different `from`: 400 M_INVALID_PARAM', async () => {
    expectError(await ask(`?user_id=${bob}&from=a&from=b`, 'alice-token', path), 400, 'M_INVALID_PARAM');
  });

  test('"empty `from`": as if it was absent', async () => {
    const page = await ask(`?user_id=${bob}&from=`, 'alice-token', path);
    expect(joinedOf(page)).toEqual(joinedOf(await ask(`?user_id=${bob}`, 'alice-token', path)));
    expect(page.status).toBe(200);
  });

  test('"token reused with another `user_id`", or by somebody else: 400 M_INVALID_PARAM', async () => {
    const token = (await ask(`?user_id=${bob}`, 'alice-token', path)).json.next_batch as string;
    expectError(await ask(`?user_id=${carol}&from=${token}`, 'alice-token', path), 400, 'M_INVALID_PARAM');
    expectError(await ask(`?user_id=${alice}&from=${token}`, 'bob-token', path), 400, 'M_INVALID_PARAM');
    expect((await ask(`?user_id=${bob}&from=${token}`, 'alice-token', path)).status).toBe(200);
  });

  test('"no token": 401 M_MISSING_TOKEN, before anything is said of the parameters', async () => {
    for (const query of [
      '',
      `?user_id=${bob}`,
      '?user_id=nobody',
      '?access_token=',
      '?access_token=a&access_token=b',
    ]) {
      expectError(await server.ask(`${path}${query}`), 401, 'M_MISSING_TOKEN');
    }
    for (const authorization of ['', 'Bearer', 'Bearer  ', 'Basic YTpi', 'alice-token']) {
      const answer = await server.ask(`${path}?user_id=${bob}`, { headers: { authorization } });
      expectError(answer, 401, 'M_MISSING_TOKEN');
    }
  });

  test('"bad token": 401 M_UNKNOWN_TOKEN', async () => {
    expectError(await ask(`?user_id=${bob}`, 'mallory-token', path), 401, 'M_UNKNOWN_TOKEN');
    expectError(await ask('', 'mallory-token', path), 401, 'M_UNKNOWN_TOKEN');
    expectError(await server.ask(`${path}?user_id=${bob}&access_token=mallory`), 401, 'M_UNKNOWN_TOKEN');
  });

  test('"homeservers MUST still support" a query-string access_token; the header comes first', async () => {
    const answer = await server.ask(`${path}?user_id=${bob}&access_token=alice-token`);
    expect([answer.status, answer.json.count]).toEqual([200, 8]);
    expectError(
      await ask(`?user_id=${bob}&access_token=alice-token`, 'mallory', path),
      401,
      'M_UNKNOWN_TOKEN',
    );
  });

  test('the scheme of the Authorization header is read in any case', async () => {
    for (const scheme of ['bearer', 'BEARER', 'Bearer ']) {
      const answer = await server.ask(`${path}?user_id=${bob}`, {
        headers: { authorization: `${scheme} alice-token` },
      });
      expect(answer.status).toBe(200);
    }
  });

  test('unknown parameters are none of our business', async () => {
    expect((await ask(`?user_id=${bob}&limit=1&foo=bar&foo=baz`, 'alice-token', path)).json.count).toBe(8);
  });

  test('"HEAD handled as GET": the same status and headers, no body', async () => {
    const get = await ask(`?user_id=${carol}`, 'alice-token', path);
    const head = await server.ask(`${path}?user_id=${carol}`, { method: 'HEAD', token: 'alice-token' });
    expect([head.status, head.text]).toEqual([200, '']);
    expect(head.headers['content-length']).toBe(get.headers['content-length']);
    expect(head.headers['content-type']).toBe('application/json');
    const refused = await server.ask(`${path}?user_id=${carol}`, { method: 'HEAD' });
    expect([refused.status, refused.text]).toEqual([401, '']);
  });

  test('"OPTIONS MUST NOT run endpoint logic": 204 without a token, even for a bad question', async () => {
    for (const query of ['', `?user_id=${bob}`, '?user_id=bad&from=bad']) {
      const answer = await server.ask(`${path}${query}`, {
        method: 'OPTIONS',
        headers: { origin: 'https://app.example', 'access-control-request-method': 'GET' },
      });
      expect([answer.status, answer.text]).toEqual([204, '']);
    }
  });
});

test('"compliant but unknown user / no shared rooms": 200, byte for byte the same answer', async () => {
  await server.join(['@stranger:hs.example'], ['!elsewhere:hs.example']);
  const paths = [
    ...queryPaths.map((path) => (userId: string) => `${path}?user_id=${encodeURIComponent(userId)}`),
    ...[unstablePath, unstableSharedPath].map(
      (path) => (userId: string) => `${path}/${encodeURIComponent(userId)}`,
    ),
  ];
  for (const pathOf of paths) {
    const [unknown, stranger, historical] = await Promise.all(
      ['@nobody-ever:hs.example', '@stranger:hs.example', '@Nobody!Ever:hs.example'].map((userId) =>
        server.ask(pathOf(userId), { token: 'alice-token' }),
      ),
    );
    expect(unknown.status).toBe(200);
    expect(unknown.text).toBe('{"joined":[],"count":0}');
    for (const other of [stranger, historical]) {
      expect([other.status, other.text]).toEqual([unknown.status, unknown.text]);
      expect({ ...other.headers, date: '' }).toEqual({ ...unknown.headers, date: '' });
    }
  }
});

test('"bad/expired `from`": an expired one is 400 M_INVALID_PARAM, one of ten minutes still opens', async () => {
  const token = (await ask(`?user_id=${bob}`)).json.next_batch as string;
  vi.useFakeTimers({ toFake: ['Date'] });
  onTestFinished(() => void vi.useRealTimers());
  const start = Date.now();
  vi.setSystemTime(start + 10 * 60_000);
  expect((await ask(`?user_id=${bob}&from=${token}`)).status).toBe(200);
  vi.setSystemTime(start + 16 * 60_000);
  const answer = await ask(`?user_id=${bob}&from=${token}`);
  expectError(answer, 400, 'M_INVALID_PARAM');
  expect(answer.json.error).toMatch(/expired/);
});

test('a token of another server, or of this one before a restart: 400 M_INVALID_PARAM', async () => {
  const token = (await ask(`?user_id=${bob}`)).json.next_batch as string;
  const other = await openServer();
  const answer = await other.ask(`${stablePath}?user_id=${bob}&from=${token}`, { token: 'alice-token' });
  expectError(answer, 400, 'M_INVALID_PARAM');
});

test('a token with any one character changed: 400 M_INVALID_PARAM', async () => {
  const token = (await ask(`?user_id=${bob}`)).json.next_batch as string;
  for (let at = 0; at < token.length; at += 1) {
    const forged = token.slice(0, at) + (token[at] === 'A' ? 'B' : 'A') + token.slice(at + 1);
    expectError(await ask(`?user_id=${bob}&from=${forged}`), 400, 'M_INVALID_PARAM');
  }
  expectError(await ask(`?user_id=${bob}&from=${token.slice(0, -1)}`), 400, 'M_INVALID_PARAM');
  expectError(await ask(`?user_id=${bob}&from=${token}A`), 400, 'M_INVALID_PARAM');
});

describe('rows of the endpoint variants', () => {
  test.each([stablePath, unstableStablePath])(
    'D, G `GET %s`: `user_id`, `from` -> `joined`, `count`, `next_batch`',
    async (path) => {
      const pages = await walk(path, 'from', 'next_batch');
      expect(pages.map((page) => joinedOf(page).length)).toEqual([3, 3, 2]);
      expect(pages.flatMap(joinedOf).sort()).toEqual([...shared].sort());
      const keys = { joined: expect.any(Array) as unknown, count: 8, next_batch: nextToken };
      expect(pages[0].json).toStrictEqual(keys);
      expect(pages[2].json).toStrictEqual({ joined: expect.any(Array) as unknown, count: 8 });
    },
  );

  test.each([
    ['from', 'next_batch'],
    ['batch_token', 'next_batch_token'],
    ['from', 'next_batch_token'],
    ['batch_token', 'next_batch'],
  ])('C `GET .../user/mutual_rooms`: `user_id`, `%s` -> `joined`, `%s`', async (param, key) => {
    const pages = await walk(unstablePath, param, key);
    expect(pages.map((page) => joinedOf(page).length)).toEqual([3, 3, 2]);
    expect(pages.flatMap(joinedOf).sort()).toEqual([...shared].sort());
    expect(pages[0].json).toStrictEqual({
      joined: expect.any(Array) as unknown,
      count: 8,
      next_batch: nextToken,
      next_batch_token: pages[0].json.next_batch,
    });
    expect(pages[2].json).toStrictEqual({ joined: expect.any(Array) as unknown, count: 8 });
  });

  test('C with `from` and `batch_token`: equal or one of them empty is fine, different is 400', async () => {
    const askC = (query: string): Promise<Answer> => ask(query, 'alice-token', unstablePath);
    const first = await askC(`?user_id=${bob}`);
    const token = first.json.next_batch as string;
    const second = joinedOf(await askC(`?user_id=${bob}&from=${token}`));
    expect(joinedOf(await askC(`?user_id=${bob}&from=${token}&batch_token=${token}`))).toEqual(second);
    expect(joinedOf(await askC(`?user_id=${bob}&from=&batch_token=${token}`))).toEqual(second);
    expect(joinedOf(await askC(`?user_id=${bob}&from=&batch_token=`))).toEqual(joinedOf(first));
    expectError(await askC(`?user_id=${bob}&from=${token}&batch_token=x`), 400, 'M_INVALID_PARAM');
    expectError(await askC(`?user_id=${bob}&batch_token=x`), 400, 'M_INVALID_PARAM');
  });

  test('a token that one spelling gave opens in the others', async () => {
    const token = (await ask(`?user_id=${bob}`, 'alice-token', unstablePath)).json.next_batch_token as string;
    const stable = await ask(`?user_id=${bob}&from=${token}`);
    const unstable = await ask(`?user_id=${bob}&batch_token=${token}`, 'alice-token', unstablePath);
    expect(joinedOf(stable)).toEqual(joinedOf(unstable));
  });

  describe.each([
    ['A', unstableSharedPath],
    ['B', unstablePath],
  ])('%s `GET %s/{userId}`', (_, path) => {
    const askPath = (userId: string, token: string | undefined = 'alice-token'): Promise<Answer> =>
      server.ask(`${path}/${userId}`, { token });

    test('`joined`: all rooms, without pages', async () => {
      const answer = await askPath(encodeURIComponent(bob));
      expect(answer.json).toStrictEqual({ joined: expect.any(Array) as unknown, count: 8 });
      expect(joinedOf(answer).sort()).toEqual([...shared].sort());
      expect(joinedOf(await askPath(bob)).sort()).toEqual([...shared].sort());
      expect(joinedOf(await askPath(`${bob}?from=x&batch_token=x`)).length).toBe(8);
    });

    test('encoded IDs: `%40`, `%3A`, `%2F` in the localpart, `%25`, every byte encoded, the longest', async () => {
      const longest = `@${'/'.repeat(241)}:hs.example`.padEnd(255, 'x').slice(0, 255);
      expect(Buffer.byteLength(longest)).toBe(255);
      const users = [
        '@a/b:hs.example',
        '@a%2Fb:hs.example',
        '@a+b=c?d#e:hs.example:8448',
        '@[x]:[::1]',
        longest,
      ];
      await server.join([alice, ...users], [`!slash-${path}`]);
      for (const userId of users) {
        expect(joinedOf(await askPath(encodeURIComponent(userId)))).toContain(`!slash-${path}`);
        const everyByte = [...Buffer.from(userId)]
          .map((byte) => `%${byte.toString(16).padStart(2, '0')}`)
          .join('');
        expect(joinedOf(await askPath(everyByte))).toContain(`!slash-${path}`);
      }
      await server.app.apply(
        [alice, ...users].map((userId) => ({ userId, roomId: `!slash-${path}`, joined: false })),
      );
    });

    test('"own `user_id`", "non-compliant": 400 M_INVALID_PARAM', async () => {
      const bad = [alice, encodeURIComponent(alice), 'bob', '%40%3Ax', '%40%C3%A9%3Ax', '%40a%20b%3Ax'];
      for (const userId of [...bad, `@${'a'.repeat(300)}:x`, '']) {
        expectError(await askPath(userId), 400, 'M_INVALID_PARAM');
      }
    });

    test('longer than any ID can be: an error of the client, as JSON', async () => {
      const answer = await askPath('%40'.repeat(400));
      expect(answer.status).toBeGreaterThanOrEqual(400);
      expect(answer.status).toBeLessThan(500);
    });

    test('a slash that is not encoded makes another path: 404 M_UNRECOGNIZED', async () => {
      expectError(await askPath('@a/b:hs.example'), 404, 'M_UNRECOGNIZED');
    });

    test('"no token / bad token": 401; HEAD; OPTIONS', async () => {
      expectError(await server.ask(`${path}/${bob}`), 401, 'M_MISSING_TOKEN');
      expectError(await askPath(bob, 'mallory'), 401, 'M_UNKNOWN_TOKEN');
      const head = await server.ask(`${path}/${bob}`, { method: 'HEAD', token: 'alice-token' });
      expect([head.status, head.text]).toEqual([200, '']);
      expect((await server.ask(`${path}/bad`, { method: 'OPTIONS' })).status).toBe(204);
    });
  });

  test('E, F, drafts and inventions: 404 M_UNRECOGNIZED', async () => {
    for (const path of [
      '/_matrix/client/v1/user/mutual_rooms',
      `/_matrix/client/v1/user/mutual_rooms/${bob}`,
      `/_matrix/client/r0/user/shared_rooms/${bob}`,
      `/_matrix/client/v3/user/${bob}/mutual_rooms`,
      '/_matrix/client/v3/mutual_rooms',
      '/_matrix/client/v1/mutual_rooms/x',
      '/_matrix/client/v1/Mutual_Rooms',
      unstableSharedPath,
    ]) {
      expectError(
        await server.ask(`${path}?user_id=${bob}`, { token: 'alice-token' }),
        404,
        'M_UNRECOGNIZED',
      );
    }
  });
});

test('only `join` counts, and room IDs of every kind come back as they were', async () => {
  const own = await openServer(testConfig({ pageSize: 100 }));
  const odd = [
    '!v12-without-a-domain',
    '!"quotes\\and\nlines":x',
    '!é☕😀:x',
    `!${'x'.repeat(1000)}:hs.example`,
    'not even a sigil',
  ];
  await own.join([alice, bob], [...odd, '!left:x']);
  await own.app.apply([{ userId: bob, roomId: '!left:x', joined: false }]);
  expect(joinedOf(await own.mutual(bob)).sort()).toEqual([...odd].sort());
});

test('pages while rooms come and go: what stays is seen, and the walk ends', async () => {
  const own = await openServer(testConfig({ pageSize: 2 }));
  const stay = roomIds(9, 'stay');
  const go = roomIds(6, 'go');
  await own.join(
    [alice, bob],
    stay.flatMap((room, index) => [room, ...go.slice(index, index + 1)]),
  );
  const seen: string[] = [];
  let token: string | undefined = '';
  for (let page = 0; token !== undefined && page < 30; page += 1) {
    const answer = await own.ask(`${stablePath}?user_id=${bob}&from=${token}`, { token: 'alice-token' });
    seen.push(...joinedOf(answer));
    token = answer.json.next_batch as string | undefined;
    await own.app.apply(go.slice(page, page + 1).map((roomId) => ({ userId: bob, roomId, joined: false })));
    if (page < 3) await own.join([alice, bob], [`!new${page}:x`]);
  }
  expect(token).toBeUndefined();
  expect(seen).toEqual(expect.arrayContaining(stay));
  expect(new Set(seen).size).toBe(seen.length);
});
