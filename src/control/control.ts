/** The control plane as one piece: all its routes, made from the ports, and its end. Decides nothing. */
import type { MonotonicMs } from '../core/vocabulary.js';
import type { BrokerPort, Clock, ConfigurationPort, JournalPort, Log, OperatorPort } from '../runtime/ports.js';
import type { Route } from '../server/exchange.js';
import { createEndedJobs } from './ended-jobs.js';
import { createEvents } from './events.js';
import { createHealthRoutes } from './health.js';
import { createHistory } from './history.js';
import { createJobsRoutes } from './jobs.js';
import { logFacts } from './log-facts.js';
import { createMetrics } from './metrics.js';
import { createOperatorRoutes } from './operator.js';
import { createRootRoutes } from './root.js';
import { createStatusRoutes } from './status.js';
import { createTargetActions } from './targets.js';
import { createUiRoutes } from './ui.js';
import { createWhoamiRoutes } from './whoami.js';

export interface ControlOptions {
  readonly broker: BrokerPort;
  readonly journal: JournalPort;
  readonly configuration: ConfigurationPort;
  readonly clock: Clock;
  readonly log: Log;
  readonly version: string;
  readonly startedAt: MonotonicMs;
}

export interface Control {
  readonly routes: readonly Route[];
  /** Begins to keep history on disk; once it is sure that no other daemon has the same address. */
  start(): Promise<void>;
  /** Where the core's answers to operators go. */
  readonly operators: OperatorPort;
  /** Ends event streams, so that the server can close; before it, not after. */
  close(): void;
  /** Writes what is left of history; when the last job has ended. */
  finish(): Promise<void>;
}

export function createControl(options: ControlOptions): Control {
  const ended = createEndedJobs(options.journal);
  const events = createEvents(options);
  const metrics = createMetrics(options);
  const history = createHistory({ ...options, stateDir: options.configuration.current().stateDir });
  const targets = createTargetActions(options);
  const stopLogging = logFacts(options.journal, options.log);
  return {
    routes: [
      ...createRootRoutes(options),
      ...createStatusRoutes(options),
      ...createJobsRoutes({ ...options, ended, history }),
      ...events.routes,
      ...history.routes,
      ...metrics.routes,
      ...createHealthRoutes(options),
      ...createOperatorRoutes({ ...options, ended }),
      ...createWhoamiRoutes(options),
      ...createUiRoutes(),
      ...targets.routes,
    ],
    operators: targets.port,
    start: () => history.start(),
    close() {
      events.close();
      metrics.close();
      ended.close();
      stopLogging();
    },
    finish: () => history.close(),
  };
}
