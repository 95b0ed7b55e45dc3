'use strict';

/**
 * Which part of src may import which. A name is a folder of src, or a file of its top level without `.ts`.
 * Files of one folder may always import each other.
 */
const SETS = ['base', 'log', 'directory', 'sets'];
const ENGINE = [...SETS, 'store', 'shard', 'engine'];
const SERVER = [...ENGINE, 'ingest', 'auth', 'metrics', 'source', 'http', 'config'];

const MAY_IMPORT = {
  base: [],
  log: ['base'],
  directory: ['base', 'log'],
  sets: ['base'],
  store: SETS,
  shard: [...SETS, 'store'],
  engine: [...SETS, 'store', 'shard'],
  ingest: [...ENGINE, 'source'],
  auth: ['base'],
  metrics: ['base'],
  config: ['base', 'source'],
  source: ['base'],
  http: [...ENGINE, 'ingest', 'auth', 'metrics', 'source'],
  service: SERVER,
  commands: [...SERVER, 'service'],
  cli: ['commands'],
  index: ['base', 'shard', 'engine'],
};

const TOP_LEVEL_FILES = ['cli', 'index'];

/** The pattern of one part's files. */
const part = (name) => (TOP_LEVEL_FILES.includes(name) ? `^src/${name}\\.ts$` : `^src/${name}/`);

const KNOWN_PARTS = Object.keys(MAY_IMPORT).map(part);

/** A folder of a source; formats and the demo's data are for all. */
const SOURCE = '^src/source/(?!formats/|demo/)[^/]+/';

const layers = Object.entries(MAY_IMPORT).map(([name, allowed]) => ({
  name: `${name}-imports`,
  comment:
    allowed.length === 0
      ? `src/${name} imports nothing else of src.`
      : `Of src, ${name} may import only: ${allowed.join(', ')}.`,
  severity: 'error',
  from: { path: part(name) },
  to: { path: '^src/', pathNot: [name, ...allowed].map(part) },
}));

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    ...layers,
    {
      name: 'a-source-is-named-in-one-place',
      comment:
        'Each source has a folder in src/source, which sources.ts names. Of the rest, the command that prints grants for one may look into it.',
      severity: 'error',
      from: { path: '^src/', pathNot: ['^src/source/sources\\.ts$', SOURCE, '^src/commands/grants\\.ts$'] },
      to: { path: SOURCE },
    },
    {
      name: 'sources-share-nothing',
      comment: 'A source knows no other one, no sample of data, and not the list of all of them.',
      severity: 'error',
      from: { path: '^src/source/([^/]+)/', pathNot: ['^src/source/(formats|demo)/'] },
      to: { path: ['^src/source/[^/]+/', '^src/source/sources\\.ts$'], pathNot: ['^src/source/$1/'] },
    },
    {
      name: 'sources-are-for-who-builds',
      comment: 'The list of sources is for the configuration, for what opens the index, and for commands.',
      severity: 'error',
      from: { path: '^src/', pathNot: ['config', 'service', 'commands'].map(part) },
      to: { path: '^src/source/sources\\.ts$' },
    },
    {
      name: 'config-takes-sections-of-sources',
      comment: 'Of a source, the configuration reads its section.',
      severity: 'error',
      from: { path: part('config') },
      to: { path: part('source'), pathNot: '^src/source/sources\\.ts$' },
    },
    {
      name: 'synapse-database-is-the-base',
      comment:
        'What reads the database of Synapse knows neither who follows it, nor who compares, nor who looks for faults.',
      severity: 'error',
      from: { path: '^src/source/synapse/database/' },
      to: { path: '^src/source/synapse/(?!database/)' },
    },
    {
      name: 'synapse-doctor-runs-alone',
      comment: 'The doctor reads the database without a feed, and no feed needs a doctor.',
      severity: 'error',
      from: { path: '^src/source/synapse/doctor/' },
      to: { path: '^src/source/synapse/(follow|compare|feed)' },
    },
    {
      name: 'index-takes-types-of-base',
      comment: 'src/index.ts offers types of src/base, and the error it throws.',
      severity: 'error',
      from: { path: part('index') },
      to: { path: part('base'), pathNot: '^src/base/errors', dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'known-part',
      comment: 'Every file of src is in a folder (or is a top-level file) that this configuration knows.',
      severity: 'error',
      module: { path: '^src/', pathNot: KNOWN_PARTS, numberOfDependentsLessThan: 100 },
      from: {},
    },
    {
      name: 'says-what-it-is',
      comment: 'A file named utils or helpers says nothing about what it holds. Nor does a second index.',
      severity: 'error',
      module: {
        path: [
          '(^|/)(utils?|helpers?)(/|[.-][^/]*$)',
          '[.-](utils?|helpers?)\\.[a-z]+$',
          '^src/.+/index\\.ts$',
        ],
        pathNot: 'node_modules',
        numberOfDependentsLessThan: 100,
      },
      from: {},
    },
    {
      name: 'no-cycles',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'no-orphans',
      comment: 'Nothing imports this file and it imports nothing: use it or remove it.',
      severity: 'error',
      // The worker is loaded by its URL; the top-level files and the tests are where reading starts.
      from: {
        orphan: true,
        path: '^(src|test|bench)/',
        pathNot: ['^src/shard/worker\\.ts$', '^src/(cli|index)\\.ts$', '\\.test\\.ts$', '\\.d\\.ts$'],
      },
      to: {},
    },
    {
      name: 'src-stands-alone',
      comment: 'src imports neither tests, benches nor its own build.',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^(test|bench|dist)/' },
    },
    {
      name: 'src-uses-no-dev-dependency',
      severity: 'error',
      from: { path: '^src/' },
      to: { dependencyTypes: ['npm-dev'], dependencyTypesNot: ['npm', 'type-only'] },
    },
    {
      name: 'resolvable',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^dist/' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['types', 'import', 'node', 'default'],
    },
  },
};
