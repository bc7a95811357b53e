/**
 * The part of OpenClaw's plugin API that we use, as it is in 2026.9.6. Written down here because the SDK's types
 * come with the whole host. What older hosts lack is optional, and asked for before it is used.
 */

/** A logger whose lines the host marks with the plugin's id. */
export interface Logger {
  readonly debug?: (message: string) => void;
  readonly info: (message: string) => void;
  readonly warn: (message: string) => void;
  readonly error: (message: string) => void;
}

/** Parts of `openclaw.json` that we look at. */
export interface HostConfig {
  readonly agents?: {
    readonly entries?: Readonly<Record<string, unknown>>;
    readonly list?: readonly { readonly id?: string; readonly default?: boolean }[];
  };
  readonly session?: { readonly scope?: string };
  readonly plugins?: Readonly<Record<string, unknown>>;
}

/** How the module was loaded: the gateway loads it as `full` and again, elsewhere, as `discovery`. */
export type RegistrationMode =
  | 'full'
  | 'discovery'
  | 'tool-discovery'
  | 'setup-only'
  | 'setup-runtime'
  | 'cli-metadata';

/** What `register` is given. */
export interface PluginApi {
  readonly registrationMode?: RegistrationMode;
  readonly config: HostConfig;
  readonly pluginConfig?: unknown;
  readonly rootDir?: string;
  readonly logger: Logger;
  /** Throws in `cli-metadata` and `setup-only`. */
  readonly runtime?: PluginRuntime;
  on(
    hook: string,
    handler: HookHandler,
    options?: { readonly timeoutMs?: number; readonly matcher?: readonly string[] },
  ): void;
  registerService?(service: Service): void;
  registerTool?(
    create: (context: ToolContext) => Tool | null,
    options: { readonly name: string; readonly optional: boolean },
  ): void;
  registerCommand?(command: SlashCommand): void;
  registerGatewayMethod?(name: string, handler: GatewayMethod, options?: { readonly scope: string }): void;
  registerHttpRoute?(route: HttpRoute): void;
  readonly session?: {
    readonly controls?: { registerControlUiDescriptor?(descriptor: ControlUiTab): void };
  };
  registerCli?(
    registrar: (context: { readonly program: CommanderCommand; readonly config: HostConfig }) => void,
    options: { readonly commands: readonly string[]; readonly descriptors: readonly CliDescriptor[] },
  ): void;
}

/** `api.runtime`. */
export interface PluginRuntime {
  readonly version?: string;
  readonly state?: { resolveStateDir(env: NodeJS.ProcessEnv): string };
  readonly config?: {
    /** Changes the configuration file in one step; what `mutate` throws leaves it as it is. */
    mutateConfigFile?(change: {
      readonly afterWrite: { readonly mode: 'auto' };
      readonly mutate: (draft: Record<string, unknown>) => void;
    }): Promise<unknown>;
  };
  readonly agent?: { resolveAgentWorkspaceDir?(config: HostConfig, agentId: string): string };
  readonly system?: {
    enqueueSystemEvent(text: string, options: SystemEventOptions): boolean;
    requestHeartbeat?(request: { source: string; intent: string; reason: string }): void;
  };
  readonly events?: {
    onSessionTranscriptUpdate?(listener: (update: TranscriptUpdate) => void): () => void;
  };
}

/** A message that was added to a transcript. */
export interface TranscriptUpdate {
  readonly sessionKey?: string;
  readonly message?: unknown;
}

/** Whom a system event reaches. */
export interface SystemEventOptions {
  readonly sessionKey: string;
  readonly agentId?: string;
  /** A later event of the same key takes the place of one that was not seen yet. */
  readonly contextKey?: string;
  readonly replace?: boolean;
}

/** A hook's handler. Which fields the event has depends on the hook and on who fires it. */
export type HookHandler = (
  event: HookEvent,
  context: HookContext,
) => Promise<void> | ToolCallDecision | void | undefined;

/** In whose turn an agent hook is fired; empty for hooks of the gateway. */
export interface HookContext {
  readonly sessionKey?: string;
  readonly agentId?: string;
}

/** Fields of hook events that we look at. */
export interface HookEvent {
  readonly reason?: string;
  /** Of `before_tool_call`. */
  readonly toolName?: string;
  readonly params?: Readonly<Record<string, unknown>>;
}

/** What `before_tool_call` decides; without a decision the call goes on. */
export interface ToolCallDecision {
  readonly block?: boolean;
  readonly blockReason?: string;
  readonly requireApproval?: ApprovalRequest;
}

/** What the owner is asked. The host allows a title of 80 and a description of 512 characters. */
export interface ApprovalRequest {
  readonly title: string;
  readonly description: string;
  readonly severity: 'critical';
  readonly allowedDecisions: readonly ('allow-once' | 'deny')[];
  readonly timeoutMs: number;
  /** Told once what became of it. The host of early 2026 asks nobody, and does not call it. */
  onResolution(decision: string): void;
}

/** A background service. */
export interface Service {
  readonly id: string;
  start(context: ServiceContext): void | Promise<void>;
  stop(context: ServiceContext): void | Promise<void>;
}

/** What a service is given. */
export interface ServiceContext {
  readonly config: HostConfig;
  readonly stateDir: string;
  readonly logger: Logger;
  readonly serviceHealth?: { reportFailure(error: unknown): void; clearFailure(): void };
  readonly gatewayEvents?: {
    emit(event: string, payload: unknown, options: { readonly scope: string }): void;
  };
}

/** Who asks for a tool. */
export interface ToolContext {
  readonly senderIsOwner?: boolean;
  readonly sandboxed?: boolean;
  readonly sessionKey?: string;
  readonly agentId?: string;
  readonly config?: HostConfig;
}

/** An agent's tool. */
export interface Tool {
  readonly name: string;
  readonly label: string;
  readonly description: string;
  /** JSON Schema. */
  readonly parameters: object;
  execute(
    callId: string,
    parameters: unknown,
    signal?: AbortSignal,
    onUpdate?: (partial: ToolResult) => void,
  ): Promise<ToolResult>;
}

/** What a tool answers. The host grades `details.status`, `ok`, `success` and `error`: those names are its own. */
export interface ToolResult {
  readonly content: readonly { readonly type: 'text'; readonly text: string }[];
  readonly details: unknown;
}

/** A slash command of chats. */
export interface SlashCommand {
  readonly name: string;
  readonly description: string;
  readonly acceptsArgs: boolean;
  readonly requireAuth: boolean;
  readonly requiredScopes?: readonly string[];
  handler(context: CommandContext): Promise<CommandReply>;
}

/** What a slash command answers. */
export interface CommandReply {
  readonly text: string;
  /** The same with buttons; channels that have none show the text. */
  readonly presentation?: Presentation;
  /** Says that the text is all there is to read: it is not shown beside the presentation. */
  readonly presentationTextMode?: 'fallback';
}

/** A message of a channel that has more than text (docs/plugins/message-presentation.md of the host). */
export interface Presentation {
  readonly blocks: readonly (
    | { readonly type: 'text'; readonly text: string }
    | { readonly type: 'buttons'; readonly buttons: readonly Button[] }
  )[];
}

/** A button that gives a slash command, as who presses it. */
export interface Button {
  readonly label: string;
  readonly action?: { readonly type: 'command'; readonly command: string };
  /** The older form of the same. */
  readonly value?: string;
  readonly style?: 'primary' | 'secondary' | 'danger';
}

/** Who gives a slash command, and what follows its name. */
export interface CommandContext {
  readonly args?: string;
  readonly channel?: string;
  readonly accountId?: string;
  readonly senderId?: string;
  /** Not set where the host does not know. */
  readonly senderIsOwner?: boolean;
  /** Of a client that is connected to the gateway; not set for those who write in a channel. */
  readonly gatewayClientScopes?: readonly string[];
  readonly config?: HostConfig;
  /** Throws when the sender is not the owner any more. */
  assertOwnerCurrent?(): void;
  readonly sessionKey?: string;
  readonly agentId?: string;
}

/** A connection to the gateway. */
export interface GatewayClient {
  readonly connId?: string;
  /** Set by the host alone: what an agent, or a plugin in the gateway, has it ask. */
  readonly internal?: {
    readonly agentToolCaller?: unknown;
    readonly agentRuntimeIdentity?: unknown;
    readonly syntheticClient?: unknown;
  };
}

/** A path that the gateway serves. With `auth: 'gateway'` the host lets nobody in who may not read. */
export interface HttpRoute {
  readonly path: string;
  readonly auth: 'gateway';
  readonly match: 'exact' | 'prefix';
  /** Answers true when it did answer. */
  handler(request: HttpRequest, response: HttpResponse): Promise<boolean>;
}

/** Of Node's `IncomingMessage`. */
export interface HttpRequest {
  readonly method?: string | undefined;
  /** Path and query. */
  readonly url?: string | undefined;
}

/** Of Node's `ServerResponse`. */
export interface HttpResponse {
  statusCode: number;
  setHeader(name: string, value: string): unknown;
  end(body?: string): unknown;
}

/** An entry in the sidebar of the Control UI, and the route that it shows in a frame. */
export interface ControlUiTab {
  readonly surface: 'tab';
  readonly id: string;
  readonly label: string;
  readonly description: string;
  readonly icon: string;
  readonly group: 'control' | 'agent';
  readonly order: number;
  /** Its address in the Control UI. */
  readonly slug: string;
  readonly path: string;
  readonly requiredScopes: readonly string[];
}

/** An RPC of the gateway. */
export type GatewayMethod = (call: {
  readonly params?: unknown;
  /** Who asks. The host has compared its scopes with those of the method. */
  readonly client?: GatewayClient | null;
  respond(ok: boolean, payload?: unknown, error?: { code: string; message: string }): void;
}) => Promise<void>;

/** What the host knows of a command before it loads the plugin. */
export interface CliDescriptor {
  readonly name: string;
  readonly description: string;
  readonly hasSubcommands: boolean;
  machineOutput?(call: { readonly argv: readonly string[] }): boolean;
}

/** A `Command` of the package commander, as far as we use it. */
export interface CommanderCommand {
  command(name: string): CommanderCommand;
  description(text: string): CommanderCommand;
  argument(name: string, description?: string): CommanderCommand;
  allowUnknownOption(allow?: boolean): CommanderCommand;
  allowExcessArguments(allow?: boolean): CommanderCommand;
  helpOption(flags: boolean): CommanderCommand;
  action(run: () => Promise<void> | void): CommanderCommand;
}
