/** The URL of a PostgreSQL, as the configuration gives it: is it one, and what of a wrong one may be shown? */

export function isPostgresUrl(text: string): boolean {
  return /^postgres(ql)?:\/\//.test(text) && URL.canParse(text);
}

/** Who logs in, where there is one, and the place. */
const parts = /^((?:[a-z][a-z\d+.-]*:\/\/)?)((?:.*@)?)([^@]*)$/is;

const place = /^[\w.[\]:%-]*(:\d*)?(\/[\w.%-]*)?$/;

/** What a wrong one is, without its password; undefined where that cannot be told from the rest, and for what is no text. */
export function postgresUrlSeen(value: unknown): string | undefined {
  const shown = typeof value === 'string' && value !== '' ? withoutPassword(value) : undefined;
  return shown === undefined ? undefined : JSON.stringify(shown);
}

/**
 * The last @ ends who logs in: often it is a password with an @, a slash or a question mark in it that makes a URL wrong. Parameters
 * may hold a password too, and so may a text of any other form.
 */
function withoutPassword(text: string): string | undefined {
  const [, scheme = '', login = '', rest = ''] = parts.exec(text) ?? [];
  if (!place.test(rest) || /[?&]password=/i.test(text)) return undefined;
  // Without an @, what follows a colon is a port, or a password whose host was forgotten.
  if (login === '') return /:(?!\d*(\/|$))/.test(rest) ? undefined : text;
  const [user, ...password] = login.slice(0, -1).split(':');
  if (!/^[\w.%-]*$/.test(user)) return undefined;
  return `${scheme}${user}${password.length === 0 ? '' : ':***'}@${rest}`;
}
