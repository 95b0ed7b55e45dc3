/** Is the oracle itself right? One small world, worked out by hand. */
import { expect, test } from 'vitest';
import { NaiveIndex } from './naive-index.js';

function world(): NaiveIndex {
  const index = new NaiveIndex();
  const joined = (userId: string, ...rooms: string[]): void => {
    for (const roomId of rooms) index.join(userId, roomId);
  };
  joined('alice', 'tea', 'books', 'chess');
  joined('bob', 'chess', 'tea');
  joined('carol', 'chess');
  return index;
}

test('rooms shared by one, two and three users', () => {
  const index = world();
  expect(index.roomsOf('alice')).toEqual(['books', 'chess', 'tea']);
  expect(index.mutual(['alice', 'bob'])).toEqual(['chess', 'tea']);
  expect(index.mutual(['alice', 'bob', 'carol'])).toEqual(['chess']);
  expect(index.mutual(['alice', 'nobody'])).toEqual([]);
  expect(index.mutual([])).toEqual([]);
  expect(index.shares('bob', 'carol')).toBe(true);
  expect(index.shares('bob', 'nobody')).toBe(false);
});

test('a change that says what holds already is no news', () => {
  const index = world();
  const changes = [
    { userId: 'bob', roomId: 'tea', joined: true },
    { userId: 'bob', roomId: 'tea', joined: false },
    { userId: 'bob', roomId: 'tea', joined: false },
    { userId: 'dave', roomId: 'tea', joined: true },
  ];
  expect(index.apply(changes)).toEqual({ applied: 2, ignored: 2 });
  expect(index.count).toBe(6);
});

test('forgetting takes a user out of all rooms, and everybody out of a room', () => {
  const index = world();
  expect(index.forgetUser('bob')).toBe(2);
  expect(index.forgetUser('bob')).toBe(0);
  expect(index.forgetRoom('chess')).toBe(2);
  expect(index.forgetRoom('chess')).toBe(0);
  expect(index.count).toBe(2);
});
