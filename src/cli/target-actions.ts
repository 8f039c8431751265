/** What operators can do with a target, by the name of the command. */
export const TARGET_ACTIONS = {
  load: 'bring a target into VRAM, making room for it',
  evict: 'make a target leave VRAM once it is idle; nothing is broken off',
  pin: 'never evict a target',
  unpin: 'let a target be evicted again',
  forget: 'drop what was learned of a target',
} as const;

export type TargetAction = keyof typeof TARGET_ACTIONS;
export const TARGET_ACTION_NAMES: readonly TargetAction[] = ['load', 'evict', 'pin', 'unpin', 'forget'];
