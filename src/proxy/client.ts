/** The one reliable sign that whoever asked is gone. Keeps nothing. */
import type { Exchange } from '../server/exchange.js';

/**
 * Calls once when the connection is gone before the answer was complete; never after a complete one. The response's
 * `close` with an unfinished response is that sign: the request's own `close` comes after a normal end as well.
 */
export function whenClientLeaves({ req, res }: Pick<Exchange, 'req' | 'res'>, left: () => void): void {
  let told = false;
  const check = () => {
    if (told || res.writableFinished) return;
    told = true;
    left();
  };
  res.on('close', check);
  if (res.socket !== null) return;
  // A pipelined request whose turn on the connection has not come: its response hears nothing of the connection yet.
  const { socket } = req;
  socket.setMaxListeners(0);
  socket.once('close', check);
  res.once('close', () => socket.off('close', check));
}
