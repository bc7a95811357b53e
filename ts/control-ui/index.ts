/**
 * The browser half of the plugin, for OpenClaw's Labs setting "Custom plugin UI". The Control UI loads it as a module; what
 * it exports is what `defineControlUiPlugin` would give. Nothing is bundled and nothing imported from the host.
 */
import type { Host } from './host.js';
import { BackupsPage, PAGE } from './page.js';

export default {
  id: 'b2-backup',
  activate(host: Host): () => void {
    return host.ui.registerPage({
      id: PAGE,
      label: 'Backups',
      mount: (container, context) => {
        const page = new BackupsPage(container, context);
        return { update: (next) => page.update(next), dispose: () => page.dispose() };
      },
    });
  },
};
