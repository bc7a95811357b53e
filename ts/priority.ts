/** How our own processes stand back. */
import { constants, setPriority } from 'node:os';

/** The gateway answers people; where both want a processor, it goes first. Only for a process that ends with its work. */
export function standBack(): void {
  try {
    setPriority(constants.priority.PRIORITY_BELOW_NORMAL);
  } catch {
    // A system that does not allow it loses nothing but this.
  }
}
