"""How ``registry`` starts in the image: as root it makes what it needs usable, then goes on as an unprivileged user.

An installation without containers uses nothing of this.
"""
