/** Which records are changes, which strings are names, and what is said about the others? */
import { describe, expect, test } from 'vitest';
import fc from 'fast-check';
import {
  changeFromEvent,
  changeFromRecord,
  changeOrFault,
  checkName,
  memberships,
} from '../../src/base/change.js';
import { nameBytesMax } from '../../src/base/limits.js';

const record = { user_id: '@alice:example.org', room_id: '!tea:example.org', membership: 'join' };

const change = { userId: '@alice:example.org', roomId: '!tea:example.org' };

describe('records', () => {
  test.each(memberships)('%s', (membership) => {
    const expected = { ...change, joined: membership === 'join' };
    expect(changeOrFault({ ...record, membership, extra: 1 })).toEqual(expected);
    expect(changeFromRecord({ ...record, membership, extra: 1 })).toEqual(expected);
  });

  test.each([
    [null, /expected an object/],
    [[record], /expected an object/],
    ['join', /expected an object/],
    [{ ...record, user_id: undefined }, /^user_id must be a string/],
    [{ ...record, room_id: 7 }, /^room_id must be a string/],
    [{ ...record, room_id: '' }, /^room_id must not be empty/],
    [{ ...record, membership: undefined }, /^membership must be (one of join, leave|a string)/],
  ])('%j is none', (value, message) => {
    expect(changeOrFault(value)).toMatch(message);
    expect(() => changeFromRecord(value)).toThrow(expect.objectContaining({ code: 'INVALID' }));
    expect(() => changeFromRecord(value)).toThrow(message);
  });

  test('a membership that Matrix does not know is a fault in a file, and not joined in a program', () => {
    expect(changeOrFault({ ...record, membership: 'JOIN' })).toMatch(
      /^membership must be one of join, leave/,
    );
    expect(changeFromRecord({ ...record, membership: 'JOIN' })).toEqual({ ...change, joined: false });
  });
});

describe('events', () => {
  const event = { type: 'm.room.member', state_key: record.user_id, content: { membership: 'join' } };

  test('the room is in the event, or given with it', () => {
    expect(changeFromEvent({ ...event, room_id: record.room_id })).toEqual({ ...change, joined: true });
    expect(changeFromEvent(event, record.room_id)).toEqual({ ...change, joined: true });
    const left = { ...event, content: { membership: 'leave' } };
    expect(changeFromEvent(left, record.room_id)).toEqual({ ...change, joined: false });
  });

  test.each([
    [{ ...event, type: 'm.room.message' }, /m\.room\.member event, not "m\.room\.message"/],
    [event, /^room_id must be a string/],
    [{ ...event, room_id: record.room_id, state_key: undefined }, /^state_key must be a string/],
    [{ ...event, room_id: record.room_id, content: {} }, /^membership must be/],
    [null as unknown as typeof event, /expected an m\.room\.member event, not null/],
    [{ type: 'm.room.member' } as typeof event, /expected an m\.room\.member event/],
  ])('%j is none', (value, message) => {
    expect(() => changeFromEvent(value)).toThrow(message);
  });
});

describe('checkName', () => {
  const accepts = (value: unknown): boolean => {
    try {
      checkName('name', value);
      return true;
    } catch (error) {
      expect(error).toMatchObject({ code: 'INVALID' });
      return false;
    }
  };

  test.each([
    ['a', true],
    ['a'.repeat(nameBytesMax), true],
    ['a'.repeat(nameBytesMax + 1), false],
    ['é'.repeat(nameBytesMax / 2), true],
    [`${'é'.repeat(nameBytesMax / 2)}a`, false],
    ['☕'.repeat(341), true],
    ['☕'.repeat(342), false],
    ['😀'.repeat(nameBytesMax / 4), true],
    [`${'😀'.repeat(nameBytesMax / 4)}a`, false],
    ['\ud83d', false],
    ['a\ude00b', false],
    ['', false],
    [undefined, false],
  ])('%# is accepted: see the row', (value, expected) => {
    expect(accepts(value)).toBe(expected);
  });

  test('exactly the well-formed strings of 1 to nameBytesMax bytes', () => {
    const unit = fc.oneof(fc.integer({ min: 0, max: 0xffff }), fc.integer({ min: 0xd7f0, max: 0xe010 }));
    fc.assert(
      fc.property(fc.array(unit, { maxLength: 12 }), fc.integer({ min: 0, max: 1100 }), (units, padding) => {
        const value = String.fromCharCode(...units) + 'x'.repeat(padding);
        const bytes = Buffer.byteLength(value);
        const wellFormed = Buffer.from(value).toString() === value;
        expect(accepts(value)).toBe(wellFormed && bytes >= 1 && bytes <= nameBytesMax);
      }),
    );
  });
});
