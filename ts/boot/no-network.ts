/**
 * Loaded into OpenClaw where the system has no network of its own to give to a process: it keeps every Node process of the
 * trial from reaching anything but the gateway of the trial. Programs that are not Node are not held by it; with the
 * configuration of a trial none is started.
 */
import dgram from 'node:dgram';
import dns from 'node:dns';
import net from 'node:net';
import process from 'node:process';
import { PORT_VARIABLE } from './common.js';

const port = Number(process.env[PORT_VARIABLE]);

function refused(): Error {
  return Object.assign(new Error('connect ECONNREFUSED: a trial start has no network'), {
    code: 'ECONNREFUSED',
  });
}

const connect = net.Socket.prototype.connect;

net.Socket.prototype.connect = function patched(this: net.Socket, ...args: unknown[]): net.Socket {
  // Node itself calls this with its arguments already in one list.
  const [first, second] = (Array.isArray(args[0]) ? args[0] : args) as [unknown, unknown];
  const options = typeof first === 'object' && first !== null ? (first as net.NetConnectOpts) : undefined;
  const path = options !== undefined && 'path' in options ? options.path : first;
  const local = typeof path === 'string' && Number.isNaN(Number(path));
  const to = Number(options !== undefined && 'port' in options ? options.port : first);
  const host = options !== undefined && 'host' in options ? options.host : second;
  const own = to === port && ['127.0.0.1', '::1', 'localhost', undefined].includes(host as string);
  if (local || own) return Reflect.apply(connect, this, args) as net.Socket;
  process.nextTick(() => this.destroy(refused()));
  return this;
};

dgram.Socket.prototype.send = function none(...args: unknown[]): void {
  const done = args.at(-1);
  if (typeof done === 'function') process.nextTick(done as (error: Error) => void, refused());
};

const lookup = dns.lookup;
dns.lookup = Object.assign((name: string, ...rest: unknown[]) => {
  if (name === 'localhost' || net.isIP(name) !== 0) return Reflect.apply(lookup, dns, [name, ...rest]);
  const done = rest.at(-1) as (error: Error) => void;
  process.nextTick(done, Object.assign(refused(), { code: 'ENOTFOUND' }));
}, lookup);
