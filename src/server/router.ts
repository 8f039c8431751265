/**
 * Finds the route for a method and a path. Paths are matched decoded, parameters come out decoded; what is forwarded
 * is taken from the path as it came, never from here.
 */
import findMyWay from 'find-my-way';
import type { Exchange, Route } from './exchange.js';

export type Routing =
  | { readonly kind: 'found'; readonly route: Route; readonly params: Exchange['params'] }
  /** The path is there, the method is not. */
  | { readonly kind: 'other_method'; readonly allow: readonly string[] }
  | { readonly kind: 'none' };

export interface Router {
  find(method: string, path: string): Routing;
}

/** The routes of one path by method; `*` stands for all. */
type PathRoutes = Map<string, Route>;

/** Longer than any header block that Node accepts, so that a long name is looked up and not lost. */
const MAX_PARAMETER_LENGTH = 65_536;

/** Throws when two routes claim the same method and path. */
export function createRouter(routes: readonly Route[]): Router {
  const paths = findMyWay({ maxParamLength: MAX_PARAMETER_LENGTH });
  // The tree knows paths only: the methods of a path stand beside one another, which makes 405 and HEAD plain.
  const routesOf = new Map<unknown, PathRoutes>();
  for (const [path, pathRoutes] of groupByPath(routes)) {
    const key = () => {};
    routesOf.set(key, pathRoutes);
    paths.on('GET', path, key);
  }

  function lookUp(method: string, path: string): Routing {
    const match = paths.find('GET', path);
    const pathRoutes = match === null ? undefined : routesOf.get(match.handler);
    if (match === null || pathRoutes === undefined) return { kind: 'none' };
    const route =
      pathRoutes.get(method) ?? (method === 'HEAD' ? pathRoutes.get('GET') : undefined) ?? pathRoutes.get('*');
    if (route === undefined) return { kind: 'other_method', allow: allowOf(pathRoutes) };
    return { kind: 'found', route, params: match.params };
  }

  return {
    find(method, path) {
      const exact = lookUp(method, path);
      if (exact.kind !== 'none' || !path.endsWith('/')) return exact;
      return lookUp(method, path.slice(0, -1));
    },
  };
}

function groupByPath(routes: readonly Route[]): Map<string, PathRoutes> {
  const byPath = new Map<string, PathRoutes>();
  for (const route of routes) {
    const pathRoutes = byPath.get(route.path) ?? new Map<string, Route>();
    byPath.set(route.path, pathRoutes);
    for (const method of typeof route.method === 'string' ? [route.method] : route.method) {
      if (pathRoutes.has(method)) throw new Error(`two routes for ${method} ${route.path}`);
      pathRoutes.set(method, route);
    }
  }
  return byPath;
}

function allowOf(pathRoutes: PathRoutes): string[] {
  const methods = new Set(pathRoutes.keys());
  if (methods.has('GET')) methods.add('HEAD');
  return [...methods].sort();
}
