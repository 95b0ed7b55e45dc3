/**
 * The library's face: the synchronous index, the asynchronous engine, and the words they share.
 * What is not exported here is not promised.
 */
export { MembershipIndex } from './engine/membership-index.js';
export { MembershipEngine, type EngineOptions } from './engine/membership-engine.js';
export type { Applied, IndexStats, MutualOptions, MutualRooms } from './engine/questions.js';
export type { MemberEvent, MembershipRecord } from './base/change.js';
export { PublicError, type PublicErrorCode } from './base/errors.js';
