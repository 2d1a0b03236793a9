// oauth4webapi gets, introspects and revokes tokens with each client authentication; jose verifies them.
// Reads a JSON object from standard input: issuer, client_id, client_secret, key_client_id, private_jwk.
import { strict as assert } from 'node:assert'
import { readFileSync } from 'node:fs'
import * as oauth from 'oauth4webapi'
import { createRemoteJWKSet, importJWK, jwtVerify } from 'jose'

const given = JSON.parse(readFileSync(0, 'utf8'))
const issuer = new URL(given.issuer)
const insecure = { [oauth.allowInsecureRequests]: true } // http on localhost
const as = await oauth
  .discoveryRequest(issuer, { algorithm: 'oauth2', ...insecure })
  .then((answer) => oauth.processDiscoveryResponse(issuer, answer))

const key = await importJWK(given.private_jwk, 'EdDSA')
// oauth4webapi's own default audience is the issuer and what is asked of it; the issuer as a plain string is what we take.
const issuerOnly = { [oauth.modifyAssertion]: (_header, payload) => { payload.aud = as.issuer } }
const ways = [
  ['client_secret_basic', given.client_id, oauth.ClientSecretBasic(given.client_secret)],
  ['client_secret_post', given.client_id, oauth.ClientSecretPost(given.client_secret)],
  ['private_key_jwt', given.key_client_id, oauth.PrivateKeyJwt({ key, kid: given.private_jwk.kid }, issuerOnly)],
]

for (const [name, client_id, auth] of ways) {
  const client = { client_id }
  const answer = await oauth.clientCredentialsGrantRequest(as, client, auth, new URLSearchParams(), insecure)
  const token = await oauth.processClientCredentialsResponse(as, client, answer)
  const jwks = createRemoteJWKSet(new URL(as.jwks_uri))
  const { payload } = await jwtVerify(token.access_token, jwks, { issuer: given.issuer, audience: given.issuer, typ: 'at+jwt' })
  assert.equal(payload.client_id, client_id)
  const told = await oauth
    .introspectionRequest(as, client, auth, token.access_token, insecure)
    .then((introspection) => oauth.processIntrospectionResponse(as, client, introspection))
  assert.equal(told.active, true)
  const revoked = await oauth.revocationRequest(as, client, auth, token.access_token, insecure)
  await oauth.processRevocationResponse(revoked)
  console.log(name, 'token, verification, introspection, revocation: ok')
}
