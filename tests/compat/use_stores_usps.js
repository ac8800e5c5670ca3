// Run by test_real_programs: @stores.com/usps as its README has it.
const USPS = require('@stores.com/usps');

const said = JSON.parse(require('fs').readFileSync(0, 'utf8'));
const usps = new USPS({
  environment_url: said.url,
  client_id: said.id,
  client_secret: said.secret,
});
usps.getAccessToken().then(
  (token) => process.stdout.write(JSON.stringify(token), () => process.exit(0)),
  (error) => process.stdout.write(JSON.stringify(`${error.name}: ${error.message}`), () => process.exit(1)),
);
