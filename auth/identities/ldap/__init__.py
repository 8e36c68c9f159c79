"""Users and groups of LDAP directories, such as OpenLDAP and Active Directory."""
