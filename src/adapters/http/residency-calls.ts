/** Whether a request is one of the calls that the configuration names as `load` or `unload`. */
import type { ConsumerConfiguration } from '../../config/configuration.js';
import type { RequestLine } from '../adapter.js';
import { meantPath } from '../request-paths.js';

export function changesResidency(request: RequestLine, consumer: ConsumerConfiguration): boolean {
  return [consumer.load, consumer.unload].some((call) => {
    if (call === null || 'command' in call || call.method !== request.method) return false;
    return meantPath(call.path.split('?')[0] ?? '') === meantPath(request.path);
  });
}
