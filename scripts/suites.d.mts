/** Of vitest's report in JSON: what says whether tests ran. */
export interface TestReport {
  testResults: {
    name: string;
    assertionResults: { ancestorTitles: string[]; title: string; status: string }[];
  }[];
}

/** Tests and groups of tests that ran; and the tests that did not, or the group where none of it did. */
export function parts(report: TestReport): { ran: string[]; skipped: string[] };
