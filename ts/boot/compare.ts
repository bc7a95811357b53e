/** Whether OpenClaw has what the snapshot says. Pure. */
import type { Answers, Expected } from './types.js';

/** What is missing or different, a sentence each. */
export function compare(expected: Expected, answers: Answers): string[] {
  const problems: string[] = [];
  for (const { key, sessionId, last } of expected.sessions) {
    const found = answers.sessions.get(key);
    if (found === undefined) {
      problems.push(`OpenClaw does not show the session ${key}`);
    } else if (found !== sessionId) {
      problems.push(
        `OpenClaw shows another conversation in the session ${key}: ${found} instead of ${sessionId}`,
      );
    } else if (last !== undefined) {
      const messages = answers.messages.get(key);
      if (messages instanceof Error) {
        problems.push(`OpenClaw cannot show the messages of the session ${key}: ${messages.message}`);
      } else if (messages?.includes(last) !== true) {
        problems.push(`OpenClaw does not show the last message of the session ${key}`);
      }
    }
  }
  for (const { id, name } of expected.jobs) {
    if (!answers.jobs.has(id)) problems.push(`OpenClaw does not see the job "${name}"`);
  }
  for (const { agent, name, content } of expected.memoryFiles) {
    const found = answers.files.get(`${agent}/${name}`);
    if (found === undefined || found instanceof Error) {
      const why = found === undefined ? '' : `: ${found.message}`;
      problems.push(`OpenClaw does not find ${name} of the agent ${agent}${why}`);
    } else if (found !== content) {
      problems.push(`OpenClaw reads something else in ${name} of the agent ${agent}`);
    }
  }
  return problems;
}
