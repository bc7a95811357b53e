// Ends what a test run left behind, however the run ended. Holds the other end of a pipe: when the run is gone,
// every process that has the run's mark in its environment is killed.
import { readdirSync, readFileSync } from 'node:fs';
import process from 'node:process';

const [, , mark] = process.argv;

function marked() {
  const found = [];
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const environment = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
      if (environment.includes(mark)) found.push(Number(pid));
    } catch {
      // It has ended, or is not ours to look at.
    }
  }
  return found;
}

process.stdin.resume().once('close', () => {
  // A process may have started another since the list was made.
  for (let pids = marked(); pids.length > 0; pids = marked()) {
    for (const pid of pids) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It was quicker.
      }
    }
  }
});
