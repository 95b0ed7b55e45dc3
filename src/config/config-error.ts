/**
 * Everything that is wrong with a configuration, at once: one line a fault, each naming the place, the key and the fix.
 */
export class ConfigError extends Error {
  override name = 'ConfigError';
  readonly faults: readonly string[];

  constructor(faults: readonly string[]) {
    super(faults.join('\n'));
    this.faults = faults;
  }
}
