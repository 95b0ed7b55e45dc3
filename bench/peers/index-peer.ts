/** Ours: the synchronous index, as a bot or a bridge embeds it. Its pages are in rank order. */
import { MembershipIndex } from '#dist/engine/membership-index';
import { pageSize, type Answer, type LocalPeer, type Member, type NamedPair } from './peer.js';

export class IndexPeer implements LocalPeer {
  readonly name = 'this index';
  readonly where = 'in process';
  readonly #index = new MembershipIndex();

  add(members: readonly Member[]): void {
    for (const { userId, roomIds } of members) {
      for (const roomId of roomIds) this.#index.join(userId, roomId);
    }
  }

  firstPage({ userIds }: NamedPair): Answer {
    const { count, json } = this.#index.mutualPage(userIds, 0, pageSize);
    return { count, page: json };
  }

  shares({ userIds }: NamedPair): boolean {
    return this.#index.shares(...userIds);
  }

  /** Page by page, so that the pages are checked too. */
  allRooms({ userIds }: NamedPair): readonly string[] {
    const all: string[] = [];
    for (let more = true; more;) {
      const after = all.at(-1);
      const page = this.#index.mutual(userIds, { limit: pageSize, ...(after !== undefined && { after }) });
      all.push(...page.rooms);
      more = page.more;
    }
    return all;
  }
}
