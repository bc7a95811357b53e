// Writes down what the host does with a plugin, a line each, into the home of its user.
import { appendFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';

const note = (what) => appendFileSync(join(homedir(), 'probe.log'), `${what}\n`);

export default {
  id: 'b2-probe',
  name: 'Probe',
  register(api) {
    for (const hook of ['before_compaction', 'before_reset', 'gateway_stop']) {
      api.on(hook, ({ reason }) => note(`${hook} ${reason ?? ''}`.trim()));
    }
    const tool = {
      name: 'b2_probe',
      label: 'Probe',
      description: 'Says what it is told.',
      parameters: { type: 'object', properties: { words: { type: 'string' } } },
      execute: async (_id, { words }, _signal, onUpdate) => {
        onUpdate?.({ content: [{ type: 'text', text: 'half way' }], details: {} });
        return { content: [{ type: 'text', text: `probe: ${words}` }], details: {} };
      },
    };
    api.registerTool(tool, { name: tool.name, optional: true });
    api.registerCommand({
      name: 'probe',
      description: 'Says its words',
      acceptsArgs: true,
      requireAuth: true,
      handler: async ({ args }) => ({ text: `probe: ${args}` }),
    });
    api.registerCli(
      ({ program }) => {
        const command = program.command('b2-probe').allowUnknownOption().helpOption(false);
        command.argument('[words...]').action((words) => process.stdout.write(`${JSON.stringify(words)}\n`));
      },
      { descriptors: [{ name: 'b2-probe', description: 'Says its words', hasSubcommands: true }] },
    );
    if (api.registrationMode !== 'full') return;
    api.registerGatewayMethod('b2-probe.echo', ({ params, respond }) => respond(true, params), {
      scope: 'operator.read',
    });
    api.registerService({
      id: 'b2-probe',
      start: ({ serviceHealth }) => serviceHealth.reportFailure(new Error('this is only a probe')),
      stop: () => note('service stopped'),
    });
  },
};
