/** Of vitest's report in JSON: what says whether tests ran, and why one failed. */
export interface TestReport {
  testResults: {
    name: string;
    status?: string;
    message?: string;
    assertionResults: {
      ancestorTitles: string[];
      title: string;
      status: string;
      fullName?: string;
      failureMessages?: string[];
    }[];
  }[];
}

/** Tests and groups of tests that ran; and the tests that did not, or the group where none of it did. */
export function parts(report: TestReport): { ran: string[]; skipped: string[] };

/** What failed, with the first line of why; a file that could not be loaded, too. */
export function failuresOf(report: TestReport): string[];

/** Names of tests that failed, of what nextest or cargo printed. */
export function rustFailures(output: string): string[];
