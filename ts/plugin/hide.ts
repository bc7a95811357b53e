/** Hides what looks like a key in lines that go to a model or into a chat. Pure. */

/**
 * Shapes of keys: prefixes and lengths as their makers give them, gathered in the default rules of gitleaks
 * (github.com/gitleaks/gitleaks, config/gitleaks.toml) and in GitHub's list of secret scanning patterns. Longer than their
 * least length is as good: what is hidden by mistake can be read in the file itself. Libraries for this (secretlint)
 * look for what is certain to be a key, and pass over passwords and bot tokens.
 *
 * A pattern that looks from many places of a line to its end would keep the gateway busy for seconds: what is repeated
 * before something else that has to follow has a bound, here and below. Where it could be longer, the line is hidden whole.
 */
const SHAPES: readonly RegExp[] = [
  // AWS, Backblaze B2 (application keys begin with K and the number of the cluster), Google.
  /\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{12,}/g,
  /\bK00\d[A-Za-z0-9+/]{20,}/g,
  /\bAIza[\w-]{30,}/g,
  /\b(?:ya29\.|GOCSPX-|1\/\/0)[\w-]{10,}/g,
  // GitHub, GitLab, npm, PyPI, Docker, Hugging Face.
  /\b(?:gh[oprsu]_|github_pat_)\w{20,}/g,
  /\bgl(?:pat|dt|rt|ptt|cbt|soat|ffct|imt|agent|oas)-[\w-]{10,}/g,
  /\b(?:npm_|pypi-|dckr_pat_|hf_|dop_v1_|doo_v1_)[\w-]{16,}/g,
  // OpenAI, Anthropic, OpenRouter, Groq, xAI and others; Stripe; SendGrid; Telegram; Slack; Discord.
  /\b(?:sk|pk|rk|gsk|xai|tvly|pplx|nvapi|fw|r8)[-_][\w-]{16,}/g,
  /\bwhsec_[A-Za-z0-9+/=]{16,}/g,
  /\bSG\.[\w-]{16,}\.[\w-]{16,}/g,
  /\b\d{6,12}:[A-Za-z0-9_-]{30,}/g,
  /\bxox[a-z](?:\.xox[a-z])?-[\w-]{10,}/g,
  /\bxapp-\d-[\w-]{10,}/g,
  /\bhttps:\/\/hooks\.slack\.com\/[\w/-]+/g,
  /\bhttps:\/\/(?:\w{1,64}\.)?discord(?:app)?\.com\/api\/webhooks\/[\w/-]+/g,
  /\b[MNO][\w-]{22,27}\.[\w-]{6}\.[\w-]{27,}/g,
  // JSON Web Tokens (RFC 7519; a word is looked through once, and only if a dot follows it), age, recovery codes of this
  // plugin.
  /(?<![\w-])(?=[\w-]+\.[\w-]{8})[\w-]*?\bey[JI][\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?/g,
  /\bAGE-SECRET-KEY-1[A-Z0-9]{20,}/gi,
  // In addresses, headers and settings: user:password@, Authorization, password = ....
  /(?<=:\/\/[^\s:@/]{0,4096}:)[^\s@/]{1,4096}(?=@)/g,
  /(?<=\b(?:bearer|basic)\s{1,64})[\w.~+/=-]{8,}/gi,
  /(?<=(?:pass(?:word|wd|phrase|code)?|secret|token|api[-_ ]?key|access[-_ ]?key|application[-_ ]?key|private[-_ ]?key|credentials?|pwd|pin)["'`]?\s{0,64}(?:[:=]|=>|\bis\b)\s{0,64}["'`]?)[^\s"'`,;]{3,}/gi,
];
/** Any long word of letters and digits together. Words of hexadecimal digits alone are more often hashes, and hidden, too. */
const LONG = /[A-Za-z0-9+/_=-]{32,}/g;
const BEGIN = /-----BEGIN [A-Z0-9 ]{0,64}(?:PRIVATE KEY|SECRET|CERTIFICATE)[A-Z0-9 ]{0,64}-----/;
const END = /-----END [A-Z0-9 ]{1,64}-----/;
/** So many characters of a line are looked at; what is longer is hidden whole, as is a line with a hole in it. */
const LONGEST = 4_096;
const HOLE = /\s{65}/;
const HIDDEN = '[hidden: looks like a key]';

/** The text with what looks like a key taken out; a block of a private key as a whole. */
export function hideKeys(text: string): string {
  let inBlock = false;
  const lines = text.split('\n').map((line) => {
    // The first character says what became of the line, and whether a new hunk begins.
    const mark = /^[-+ @]/.exec(line)?.[0] ?? '';
    if (mark === '@') inBlock = false;
    const content = line.slice(mark.length);
    const unreadable = isUnreadable(content);
    const begins = unreadable ? line.includes('-----BEGIN ') : BEGIN.test(line);
    const ends = unreadable ? line.includes('-----END ') : END.test(line);
    if (inBlock || begins) {
      inBlock = !ends;
      return `${mark}${HIDDEN}`;
    }
    // A hunk may begin in the middle of a block; its lines of base64 are long words.
    return mark + (ends || unreadable ? HIDDEN : hideIn(content));
  });
  return lines.join('\n');
}

/** Whether a line is too long for the patterns, or what belongs together in it is too far apart. */
function isUnreadable(line: string): boolean {
  return line.length > LONGEST || HOLE.test(line);
}

function hideIn(line: string): string {
  let hidden = line;
  for (const shape of SHAPES) hidden = hidden.replace(shape, HIDDEN);
  return hidden.replace(LONG, (word) => (/\d/.test(word) && /[A-Za-z]/.test(word) ? HIDDEN : word));
}
