/** Whether the page is as narrow as a phone, as the style sheet sees it. */
import { useEffect, useState } from 'preact/hooks';

export function useNarrow(): boolean {
  const [narrow, setNarrow] = useState(() => matchMedia('(max-width: 720px)').matches);
  useEffect(() => {
    const query = matchMedia('(max-width: 720px)');
    const take = () => setNarrow(query.matches);
    query.addEventListener('change', take);
    return () => query.removeEventListener('change', take);
  }, []);
  return narrow;
}
