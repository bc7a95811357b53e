// The command line of `npm run bench:gateway`.
import { parseArgs } from 'node:util';

export const HELP = `npm run bench:gateway -- [OPTIONS]

  --release          measure the release build of the addon, as users get it (default: the quick debug build)
  --mb 200,500       sizes of the generated states: 5, 30, 50, 200, 500, 5000, separated by commas
  --layout legacy    transcripts as files (legacy) or everything in SQLite (db), separated by commas
  --idle 60          seconds for which the gateway is measured doing nothing
  --net lan,wan      for the last push: lan (loopback) and wan (a pause of --delay ms before each request, --rate
                     bytes/s each way); none for no last push
  --delay 40
  --rate 20000000
  --tools debug      or release: which build of generator, server and proxy (dependencies are optimised in both)
  --away             only how long the gateway is away: plain restarts and rollbacks in turns
  --out FILE         JSON lines (default benches/results/gateway-TIME.jsonl)
  --report FILE      no run: tables and targets of earlier results
`;

/** @throws for an option that there is not */
export function readOptions() {
  const { values } = parseArgs({
    options: {
      release: { type: 'boolean', default: false },
      mb: { type: 'string', default: '200,500' },
      layout: { type: 'string', default: 'legacy' },
      idle: { type: 'string', default: '60' },
      net: { type: 'string', default: 'lan,wan' },
      delay: { type: 'string', default: '40' },
      rate: { type: 'string', default: '20000000' },
      away: { type: 'boolean', default: false },
      tools: { type: 'string', default: 'debug' },
      out: { type: 'string' },
      report: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  const { mb, layout, net, idle } = values;
  return {
    ...values,
    sizes: mb.split(',').map(Number),
    layouts: layout.split(','),
    nets: net === 'none' ? [] : net.split(','),
    idle: Number(idle),
  };
}
