/**
 * The part of the Control UI's plugin API that we use, as it is in 2026.9.6 (`openclaw/plugin-sdk/control-ui`). Written down
 * here because the types come with the whole host.
 */

/** Calls off what it was given for. */
export type Disposer = () => void;

/** What the signed-in operator may do. */
export interface Connection {
  readonly connected: boolean;
  readonly canWrite: boolean;
  readonly canAdmin: boolean;
}

/** A dialog of the host: it draws the backdrop and keeps the focus inside, and no box. */
export interface DialogProps {
  readonly label: string;
  readonly description?: string;
  readonly content: HTMLElement;
  readonly returnFocusTarget?: HTMLElement | null;
  /** Returning false keeps it open. */
  readonly onCancel: () => boolean | undefined;
}

/** Where a page of a plugin is. */
export interface PageTarget {
  readonly id: string;
  readonly params?: Readonly<Record<string, string>>;
}

/** What a plugin's browser half is given. */
export interface Host {
  readonly signal: AbortSignal;
  readonly connection: Connection;
  readonly components: {
    mountDialog(container: HTMLElement, props: DialogProps): { dispose(): void };
  };
  /** Calls a method of the gateway with the rights of the operator. */
  request<T>(method: string, params?: Readonly<Record<string, unknown>>): Promise<T>;
  onEvent(event: string, listener: (payload: unknown) => void): Disposer;
  /** Tells when something of the host has changed, such as the connection. */
  subscribe(listener: () => void): Disposer;
  readonly sessions: { open(session: { sessionKey: string; agentId?: string }): void };
  readonly navigation: {
    openPage(target: PageTarget): void;
    pageHref(target: PageTarget): string;
  };
  readonly ui: {
    registerPage(page: { id: string; label: string; mount: Mount }): Disposer;
  };
}

/** What a view is given: again, whenever its address has changed. */
export interface ViewContext {
  readonly host: Host;
  readonly signal: AbortSignal;
  /** The parameters of the address. */
  readonly props: Readonly<Record<string, string>>;
  /** False while it is kept and not seen. */
  readonly presented: boolean;
}

/** Puts a view into a container. */
export type Mount = (
  container: HTMLElement,
  context: ViewContext,
) => { update(context: ViewContext): void; dispose(): void };
