/**
 * Published figures of real membership graphs: what a made-up homeserver is held against.
 *
 * The first four are group memberships of social networks, crawled by A. Mislove, M. Marcon, K. P. Gummadi, P. Druschel
 * and B. Bhattacharjee (Measurement and Analysis of Online Social Networks, IMC 2007); the figures are those of the
 * KONECT page named, read in its "Left" (user) and "Right" (group) lines. Matrix itself is rooms that a bot could join
 * in 2018: F. Jacob, J. Grashöfer and H. Hartenstein, A Glimpse of the Matrix (arXiv:1910.06295). What we have not seen
 * published is null.
 */
export interface PublicGraph {
  readonly name: string;
  readonly source: string;
  readonly users: number;
  readonly rooms: number;
  readonly memberships: number | null;
  /** Rooms of the user who has most. */
  readonly userMost: number | null;
  /** Members of the largest room. */
  readonly roomMost: number | null;
  /** Balanced inequality ratio: this share of the users, the heaviest, has all but this share of the memberships. */
  readonly userInequality: number | null;
  /** The same for rooms. */
  readonly roomInequality: number | null;
}

export const publicGraphs: readonly PublicGraph[] = [
  {
    name: 'LiveJournal',
    source: 'http://konect.cc/networks/livejournal-groupmemberships/',
    users: 3_201_203,
    rooms: 7_489_073,
    memberships: 112_307_385,
    // The site allowed no more.
    userMost: 300,
    roomMost: 1_053_676,
    userInequality: 0.273067,
    roomInequality: 0.0846343,
  },
  {
    name: 'Orkut',
    source: 'http://konect.cc/networks/orkut-groupmemberships/',
    users: 2_783_196,
    rooms: 8_730_857,
    memberships: 327_037_487,
    userMost: 40_425,
    roomMost: 318_240,
    userInequality: 0.213783,
    roomInequality: 0.119824,
  },
  {
    name: 'Flickr',
    source: 'http://konect.cc/networks/flickr-groupmemberships/',
    users: 395_979,
    rooms: 103_631,
    memberships: 8_545_307,
    userMost: 2_186,
    roomMost: 34_989,
    userInequality: 0.178314,
    roomInequality: 0.146343,
  },
  {
    name: 'YouTube',
    source: 'http://konect.cc/networks/youtube-groupmemberships/',
    users: 94_238,
    rooms: 30_087,
    memberships: 293_360,
    userMost: 1_035,
    roomMost: 7_591,
    userInequality: 0.280584,
    roomInequality: 0.188134,
  },
  {
    name: 'public Matrix',
    source: 'https://arxiv.org/abs/1910.06295',
    users: 24_631,
    rooms: 602,
    memberships: null,
    userMost: null,
    roomMost: null,
    userInequality: null,
    roomInequality: null,
  },
];
