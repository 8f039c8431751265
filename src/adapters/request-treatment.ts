/** The rule that all kinds share: what acts on everybody's work, what goes through, what waits. Keeps nothing. */
import type { ConsumerConfiguration } from '../config/configuration.js';
import type { RequestLine, RequestTreatment } from './adapter.js';
import { matchesAny, meantPath } from './request-paths.js';

const READS = new Set(['GET', 'HEAD', 'OPTIONS']);

/** `operator`: the kind's patterns for operators. They win over `passes`: a file cannot open them to everybody. */
export function treat(
  request: RequestLine,
  consumer: ConsumerConfiguration,
  operator: readonly string[],
): RequestTreatment {
  if (changesResidency(request, consumer) || matchesAny(request, operator)) return 'operator';
  return READS.has(request.method) || matchesAny(request, consumer.passes) ? 'pass' : 'job';
}

/** One of the calls that the configuration names as `load` or `unload`: some services unload by GET. */
function changesResidency({ method, path }: RequestLine, { load, unload }: ConsumerConfiguration): boolean {
  // Many servers answer HEAD by doing what GET does.
  const meant = method === 'HEAD' ? 'GET' : method;
  return [load, unload].some((call) => {
    if (call === null || 'command' in call || call.method !== meant) return false;
    const [callPath = ''] = call.path.split('?', 1);
    return meantPath(callPath) === meantPath(path);
  });
}
