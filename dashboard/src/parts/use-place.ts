/** Which address is shown, and the way to another one of the same page. */
import { useEffect, useState } from 'preact/hooks';

export function usePlace(): { path: string; go: (path: string) => void } {
  const [path, setPath] = useState(location.pathname);
  useEffect(() => {
    const take = () => setPath(location.pathname);
    addEventListener('popstate', take);
    return () => removeEventListener('popstate', take);
  }, []);
  return {
    path,
    go(to) {
      history.pushState(null, '', to);
      setPath(to);
      scrollTo(0, 0);
    },
  };
}
