/** What `--config` of every command says of itself. */
export const configHelp =
  'YAML configuration; default: what MUTUAL_ROOMS_CONFIG names, else the environment alone';
