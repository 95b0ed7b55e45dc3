/**
 * A YAML file (JSON is YAML too) as a plain value that still knows on which line each of its keys stands.
 *
 * Faults never quote the file's text: it holds secrets.
 */
import { readFileSync, statSync } from 'node:fs';
import { isNode, LineCounter, parseDocument } from 'yaml';
import { messageOf } from '../base/errors.js';
import { ConfigError } from './config-error.js';

export interface YamlFile {
  readonly value: unknown;
  /** `FILE:LINE` of the key at `path`, or of the nearest one above it; `FILE` alone when there is none. */
  placeOf(path: readonly PropertyKey[]): string;
}

/** @throws ConfigError when the file cannot be read or is not YAML */
export function readYaml(file: string, missingFix: string): YamlFile {
  const lines = new LineCounter();
  const document = parseDocument(readText(file, missingFix), { lineCounter: lines });
  const error = document.errors.at(0);
  if (error !== undefined) {
    const where = error.linePos === undefined ? '' : `:${error.linePos[0].line}:${error.linePos[0].col}`;
    throw new ConfigError([`${file}${where}: this is not valid YAML: ${plainWords(error)}`]);
  }
  let value: unknown;
  try {
    value = document.toJS();
  } catch (error) {
    throw new ConfigError([`${file}: this is not valid YAML: ${messageOf(error)}`]);
  }
  const placeOf = (path: readonly PropertyKey[]): string => {
    for (let length = path.length; length > 0; length--) {
      const node: unknown = document.getIn(path.slice(0, length).map(String), true);
      if (isNode(node) && node.range) return `${file}:${lines.linePos(node.range[0]).line}`;
    }
    return file;
  };
  return { value, placeOf };
}

/** The mistakes that people make, as they would call them; the parser's words for the rest. */
function plainWords({ code, message }: { readonly code: string; readonly message: string }): string {
  const bracket = /end with a ([}\]])/.exec(message)?.[1];
  if (bracket !== undefined) return `a ${bracket} is missing above: one that was opened is not closed`;
  const quote = /^Missing closing (["'])/.exec(message)?.[1];
  if (quote !== undefined) return `a closing ${quote} is missing above`;
  switch (code) {
    case 'DUPLICATE_KEY':
      return 'this key is given twice; remove one of them';
    case 'TAB_AS_INDENT':
      return 'the line is indented with a tab; use spaces';
    case 'BLOCK_AS_IMPLICIT_KEY':
      return 'the next line is indented too far, or a value with a colon in it needs quotes';
    case 'MULTILINE_IMPLICIT_KEY':
      return 'the line is no "key: value", or lacks a comma at its end';
    case 'BAD_SCALAR_START':
      return 'a text that begins with this character needs quotes';
    default:
      return message.split('\n')[0].replace(/ at line \d+, column \d+:?$/, '');
  }
}

/** @throws ConfigError with `missingFix` as the way out when there is no such file */
export function readText(file: string, missingFix: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') throw new ConfigError([`${file}: there is no such file; ${missingFix}`]);
    if (code === 'EISDIR') throw new ConfigError([`${file}: this is a folder; ${missingFix}`]);
    if (code === 'EACCES')
      throw new ConfigError([`${file}: it may not be read; give this user the right to`]);
    throw new ConfigError([`${file}: it cannot be read: ${messageOf(error)}`]);
  }
}

/** Whether users other than its owner and group may read a file. */
export function isReadableByAll(file: string): boolean {
  // The modes of Windows say nothing of the kind.
  return process.platform !== 'win32' && (statSync(file).mode & 0o004) !== 0;
}
