import { execSync } from 'node:child_process';

/** Worker threads run compiled code, so dist/ must be what src/ says before any test starts. */
export default function build(): void {
  execSync('npm run --silent build', { stdio: ['ignore', 'inherit', 'inherit'] });
}
