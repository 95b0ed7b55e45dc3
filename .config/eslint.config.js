import js from '@eslint/js';
import { defineConfig, globalIgnores } from 'eslint/config';
import tseslint from 'typescript-eslint';

const INJECTED =
  'Time and randomness are parameters: take a clock or a source of randomness from src/base/clock.ts.';

/** The one place in src that may read the real time and make real randomness. */
const CLOCK = 'src/base/clock.ts';

/** Packages that have one owner each: the rest of src sees the owner's types, not the package's. */
const OWNED_PACKAGES = [
  { name: 'roaring', owner: 'src/sets/bitmap.ts' },
  { name: 'lmdb', owner: 'src/store/lmdb.ts' },
  { name: 'piscina', owner: 'src/base/worker-thread.ts' },
  { name: 'prom-client', owner: 'src/metrics/**' },
  { name: 'undici', owner: 'src/auth/**' },
  { name: 'pg', owner: 'src/source/synapse/database/connection.ts' },
  { name: 'pg-copy-streams', owner: 'src/source/synapse/database/connection.ts' },
  { name: 'ioredis', owner: 'src/source/synapse/redis-wake.ts' },
  { name: 'yaml', owner: 'src/config/**' },
];

const RANDOM_NAMES = [
  'getRandomValues',
  'pseudoRandomBytes',
  'randomBytes',
  'randomFill',
  'randomFillSync',
  'randomInt',
  'randomUUID',
];

/** Imports that bring real time or randomness in through a module rather than a global. */
const CLOCK_IMPORTS = ['crypto', 'perf_hooks', 'process'].flatMap((name) =>
  [name, `node:${name}`].map((module) => ({
    name: module,
    importNames: { crypto: [...RANDOM_NAMES, 'webcrypto'], perf_hooks: ['performance'], process: ['hrtime'] }[
      name
    ],
    message: INJECTED,
  })),
);

/** @returns the names of the packages that a file owns */
function packagesOf(owner) {
  return OWNED_PACKAGES.filter((owned) => owned.owner === owner).map(({ name }) => name);
}

/** `no-restricted-imports` for files that may use every owned package of `mayUse`. */
function restrictedImports({ mayUse = [], mayTellTime = false } = {}) {
  const patterns = OWNED_PACKAGES.filter(({ name }) => !mayUse.includes(name)).map(({ name, owner }) => ({
    regex: `^${name}(/|$)`,
    message: `Only ${owner} may import ${name}.`,
  }));
  return ['error', { paths: mayTellTime ? [] : CLOCK_IMPORTS, patterns }];
}

const CLOCK_PROPERTIES = [
  { object: 'Date', property: 'now', message: INJECTED },
  { object: 'Math', property: 'random', message: INJECTED },
  { object: 'performance', property: 'now', message: INJECTED },
  { object: 'performance', property: 'timeOrigin', message: INJECTED },
  { object: 'process', property: 'hrtime', message: INJECTED },
  ...['crypto', 'webcrypto'].flatMap((object) =>
    RANDOM_NAMES.map((property) => ({ object, property, message: INJECTED })),
  ),
];

const CLOCK_SYNTAX = [
  { selector: 'NewExpression[callee.name="Date"][arguments.length=0]', message: INJECTED },
  { selector: 'CallExpression[callee.name="Date"]', message: INJECTED },
  // The same reached through globalThis, or by `const { now } = Date`.
  {
    selector: 'MemberExpression[object.name="globalThis"][property.name=/^(Date|performance|crypto)$/]',
    message: INJECTED,
  },
  {
    selector: 'VariableDeclarator[id.type="ObjectPattern"][init.name=/^(Date|Math|performance|crypto)$/]',
    message: INJECTED,
  },
];

const BARREL = 'No barrels: import from the file that declares it. Only src/index.ts re-exports.';

const BARREL_SYNTAX = [
  { selector: 'ExportAllDeclaration', message: BARREL },
  { selector: 'ExportNamedDeclaration[source]', message: BARREL },
];

/** `export *` hides what the library offers, so not even src/index.ts may. */
const INDEX_SYNTAX = [{ selector: 'ExportAllDeclaration', message: 'Name every export of the library.' }];

export default defineConfig(
  globalIgnores(['dist/', 'coverage/', 'data/']),
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },

  js.configs.recommended,

  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: {
      parserOptions: { projectService: true, tsconfigRootDir: `${import.meta.dirname}/..` },
    },
    rules: {
      eqeqeq: ['error', 'always'],
      'no-console': 'error',
      'object-shorthand': 'error',

      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/no-unnecessary-condition': [
        'error',
        { allowConstantLoopConditions: 'only-allowed-literals' },
      ],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      // An indexed loop is the fast one over a typed array.
      '@typescript-eslint/prefer-for-of': 'off',
      // An async function without await still turns a throw into a rejection, which route handlers rely on.
      '@typescript-eslint/require-await': 'off',
    },
  },

  {
    files: ['src/**/*.ts'],
    rules: {
      'no-restricted-imports': restrictedImports(),
      'no-restricted-properties': ['error', ...CLOCK_PROPERTIES],
      'no-restricted-syntax': ['error', ...CLOCK_SYNTAX, ...BARREL_SYNTAX],
    },
  },
  ...OWNED_PACKAGES.map(({ owner }) => ({
    files: [owner],
    rules: { 'no-restricted-imports': restrictedImports({ mayUse: packagesOf(owner) }) },
  })),
  {
    files: [CLOCK],
    rules: {
      'no-restricted-imports': restrictedImports({ mayTellTime: true }),
      'no-restricted-properties': 'off',
      'no-restricted-syntax': ['error', ...BARREL_SYNTAX],
    },
  },
  {
    files: ['src/index.ts'],
    rules: { 'no-restricted-syntax': ['error', ...CLOCK_SYNTAX, ...INDEX_SYNTAX] },
  },
  { files: ['src/cli.ts', 'src/commands/**/*.ts'], rules: { 'no-console': 'off' } },

  {
    files: ['test/**/*.ts', 'bench/**/*.ts'],
    rules: {
      'no-console': 'off',
      '@typescript-eslint/no-empty-function': 'off',
      '@typescript-eslint/no-non-null-assertion': 'off',
      // An array index is typed as always there, so here the rule would call a needed check needless.
      '@typescript-eslint/no-unnecessary-condition': 'off',
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
      '@typescript-eslint/restrict-template-expressions': 'off',
      '@typescript-eslint/unbound-method': 'off',
    },
  },

  {
    files: ['.config/**/*.{js,cjs}', '.ci/**/*.cjs'],
    languageOptions: {
      globals: { console: 'readonly', module: 'writable', process: 'readonly', URL: 'readonly' },
    },
  },
  { files: ['**/*.cjs'], languageOptions: { sourceType: 'commonjs' } },
);
