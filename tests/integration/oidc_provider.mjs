// An identity provider for tests: node oidc_provider.mjs LIBRARY PORT CALLBACK SECRET
// Everybody may log in under any name, with any password, and is in the group registry-devs.
const [library, port, callback, secret] = process.argv.slice(2);
const { Provider } = await import(library);

const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [{ client_id: "registry", client_secret: secret, redirect_uris: [callback] }],
  scopes: ["openid", "email", "groups"],
  claims: { openid: ["sub"], email: ["email", "email_verified"], groups: ["groups"] },
  cookies: { keys: ["for tests"] },
  pkce: { required: () => true },
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => ({ sub: id, email: `${id}@corp.example`, email_verified: true, groups: ["registry-devs"] }),
  }),
});
provider.listen(Number(port), "127.0.0.1");
